import { randomUUIDv7 } from 'node:crypto';
import type { InterceptorFactory } from '../interceptor.ts';

const HEADER = 'x-request-id';
const VALID = /^[\x20-\x7e]{1,128}$/;

/** Names the call by the caller's `x-request-id`, else by a UUIDv7, and tells the caller the name. */
export const requestId: InterceptorFactory = () => (call, request, next) => {
  const sent = call.header(HEADER);
  call.callId = sent !== undefined && VALID.test(sent) ? sent : randomUUIDv7();
  call.setResponseHeader(HEADER, call.callId);
  return next(call, request);
};
