import { InvalidInput } from '../../domain/errors.ts';
import type { InterceptorFactory } from '../interceptor.ts';
import { compileTextCheck } from '../text-check.ts';

/** Decodes the request and refuses text that no handler should have to think of (`rpc/text-check.ts`). */
export const validation: InterceptorFactory = (method) => {
  const check = compileTextCheck(method.input);
  return (call, request, next) => {
    const violations = check(request.message);
    if (violations.length > 0) throw new InvalidInput(violations);
    return next(call, request);
  };
};
