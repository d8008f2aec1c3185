import { drainingError } from '../drain.ts';
import type { InterceptorFactory } from '../interceptor.ts';

/** Refuses calls that arrive on open connections after the server began to drain; keeps count of the others. */
export const draining: InterceptorFactory = (_method, { drain }) => async (call, request, next) => {
  if (drain.active) throw drainingError();
  const open = drain.enter(call);
  try {
    return await next(call, request);
  } finally {
    drain.leave(open);
  }
};
