import { RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { rpcName } from '../call.ts';
import { OK, outcomeOf } from '../errors.ts';
import type { InterceptorFactory } from '../interceptor.ts';

/** Counts and times every call by RPC and status code, and counts failed renders. */
export const metrics: InterceptorFactory = (method, { metrics: { rpc, renderErrors } }) => {
  const name = rpcName(method);
  const succeeded = rpc.series({ rpc: name, code: OK.name });
  const isRender = method === RenderService.method.render;
  return async (call, request, next) => {
    const start = performance.now();
    try {
      const answer = await next(call, request);
      succeeded(secondsSince(start));
      return answer;
    } catch (error) {
      const { name: code } = outcomeOf(error);
      rpc.series({ rpc: name, code })(secondsSince(start));
      if (isRender) renderErrors.inc({ code });
      throw error;
    }
  };
};

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
