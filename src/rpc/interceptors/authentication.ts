import type { InterceptorFactory } from '../interceptor.ts';

/** Who calls while the server knows no API keys; such a server listens on loopback. */
export const ANONYMOUS = 'anonymous@loopback';

/** Says who calls. */
export const authentication: InterceptorFactory = () => (call, request, next) => {
  call.caller = ANONYMOUS;
  return next(call, request);
};
