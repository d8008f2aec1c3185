import { DeadlineExceeded } from '../../domain/errors.ts';
import type { Call } from '../call.ts';
import type { InterceptorFactory } from '../interceptor.ts';

/** How long a call may take whose caller set no deadline. */
export const DEFAULT_TIMEOUT_MS = 30_000;
/** The longest delay that a timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Answers as soon as the deadline passes or the caller goes away, even if the handler runs on: neither transport stops
 * a handler, and a handler may be stuck in something that knows no signal.
 */
export const deadline: InterceptorFactory = () => async (call, request, next) => {
  const { signal } = call;
  const timer = setTimeout(() => call.abort(new DeadlineExceeded()), timeLeft(call));
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  try {
    signal.throwIfAborted();
    return await Promise.race([next(call, request), aborted]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
};

function timeLeft(call: Call): number {
  return call.deadline === undefined ? DEFAULT_TIMEOUT_MS : Math.min(call.deadline - Date.now(), MAX_TIMER_MS);
}
