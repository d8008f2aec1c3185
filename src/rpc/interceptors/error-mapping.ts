import { StatusError, statusOf } from '../errors.ts';
import type { InterceptorFactory } from '../interceptor.ts';

/** Turns whatever is thrown further in into a StatusError; no other error leaves it. */
export const errorMapping: InterceptorFactory = (_method, { logger }) => async (call, request, next) => {
  try {
    return await next(call, request);
  } catch (error) {
    throw new StatusError(statusOf(error, logger), error);
  }
};
