import { DeadlineExceeded } from '../../domain/errors.ts';
import type { Call } from '../call.ts';
import type { InterceptorFactory } from '../interceptor.ts';

/** How long a call may take whose caller set no deadline. */
export const DEFAULT_TIMEOUT_MS = 30_000;
/** The same of a stream, which tells its caller how it goes; callers who have gone are noticed before. */
export const DEFAULT_STREAM_TIMEOUT_MS = 60 * 60 * 1000;
/** The longest delay that a timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Answers as soon as the deadline passes or the caller goes away, even if the handler runs on: neither transport stops
 * a handler, and a handler may be stuck in something that knows no signal.
 */
export const deadline: InterceptorFactory = ({ methodKind }) => {
  const defaultTimeout = methodKind === 'unary' ? DEFAULT_TIMEOUT_MS : DEFAULT_STREAM_TIMEOUT_MS;
  return (call, request, next) =>
    new Promise((resolve, reject) => {
      const timer = call.keepsDeadline ? undefined : setTimeout(expire, timeLeft(call, defaultTimeout), call);
      const fail = (error: unknown): void => {
        clearTimeout(timer);
        reject(error);
      };
      call.onAbort(fail);
      if (call.aborted) return;
      const succeed = (answer: Parameters<typeof resolve>[0]): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      try {
        next(call, request).then(succeed, fail);
      } catch (error) {
        fail(error);
      }
    });
};

function expire(call: Call): void {
  call.abort(new DeadlineExceeded());
}

/** What a timer for the deadline of a call is set to, in milliseconds. */
export function timeLeft({ deadline: end }: Pick<Call, 'deadline'>, defaultTimeout: number): number {
  return end === undefined ? defaultTimeout : Math.min(Math.max(1, end - Date.now()), MAX_TIMER_MS);
}
