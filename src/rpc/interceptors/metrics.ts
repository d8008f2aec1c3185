import { RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { rpcName } from '../call.ts';
import { OK } from '../errors.ts';
import type { ObserverFactory } from '../interceptor.ts';

/** Counts and times every call by RPC and status code, and counts failed renders. */
export const metrics: ObserverFactory = (method, { metrics: { rpc, renderErrors } }) => {
  const name = rpcName(method);
  const succeeded = rpc.series({ rpc: name, code: OK.name });
  const isRender = method === RenderService.method.render;
  return (_call, outcome, seconds) => {
    if (outcome.code === OK.code) {
      succeeded(seconds);
      return;
    }
    rpc.series({ rpc: name, code: outcome.name })(seconds);
    if (isRender) renderErrors.inc({ code: outcome.name });
  };
};
