import type { Call } from '../call.ts';
import { OK, type Outcome, StatusError, outcomeOf, statusOf } from '../errors.ts';
import type { InterceptorFactory } from '../interceptor.ts';
import { logging } from './logging.ts';
import { metrics } from './metrics.ts';

/** Told of every call, in this order. */
const OBSERVERS = [logging, metrics];

/** Turns whatever is thrown further in into a StatusError; no other error leaves it. Then tells how the call ended. */
export const errorMapping: InterceptorFactory = (method, parts) => {
  const observers = OBSERVERS.map((create) => create(method, parts));
  function ended(call: Call, outcome: Outcome, began: number): void {
    const seconds = (performance.now() - began) / 1000;
    for (const observe of observers) observe(call, outcome, seconds);
  }
  return async (call, request, next) => {
    const began = performance.now();
    try {
      const answer = await next(call, request);
      ended(call, OK, began);
      return answer;
    } catch (error) {
      const failure = new StatusError(statusOf(error, parts.logger), error);
      ended(call, outcomeOf(failure), began);
      throw failure;
    }
  };
};
