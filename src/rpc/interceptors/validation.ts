import { RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { InvalidInput } from '../../domain/errors.ts';
import type { InterceptorFactory } from '../interceptor.ts';
import { compileTextCheck } from '../text-check.ts';

/**
 * Decodes the request and refuses text that no handler should have to think of (`rpc/text-check.ts`). That of a batch
 * is checked by item, so that ill-formed text in one does not fail the others (`rpc/render-outcomes.ts`).
 */
export const validation: InterceptorFactory = (method) => {
  if (method === RenderService.method.batchRender) return (call, request, next) => next(call, request);
  const check = compileTextCheck(method.input);
  return (call, request, next) => {
    const violations = check(request.message);
    if (violations.length > 0) throw new InvalidInput(violations);
    return next(call, request);
  };
};
