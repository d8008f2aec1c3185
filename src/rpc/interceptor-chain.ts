import type { InterceptorFactory, InterceptorParts, Next } from './interceptor.ts';
import { authentication } from './interceptors/authentication.ts';
import { deadline } from './interceptors/deadline.ts';
import { draining } from './interceptors/draining.ts';
import { errorMapping } from './interceptors/error-mapping.ts';
import { requestId } from './interceptors/request-id.ts';
import { tracing } from './interceptors/tracing.ts';
import { validation } from './interceptors/validation.ts';
import type { ServedMethod } from './method.ts';

/** The interceptors, outermost first, each with the reason for its place. */
export const INTERCEPTORS: readonly { name: string; why: string; create: InterceptorFactory }[] = [
  { name: 'request id', why: 'whatever happens to the call can be found by its id', create: requestId },
  { name: 'tracing', why: 'the span covers all of the work, and logs carry the trace id', create: tracing },
  {
    name: 'error mapping',
    why: 'all that is thrown further in becomes a status; logs and metrics are told that of every call, refused or not',
    create: errorMapping,
  },
  { name: 'draining', why: 'a call that comes too late costs nothing', create: draining },
  { name: 'deadline', why: 'bounds everything that may wait', create: deadline },
  {
    name: 'authentication',
    why: 'nobody learns from the violations of a request before saying who they are',
    create: authentication,
  },
  {
    name: 'validation',
    why: 'decodes and checks for known callers only, and handlers see checked requests only',
    create: validation,
  },
];

/** Composes the chain of one method, once; `handle` is its innermost link. */
export function composeChain<T>(method: ServedMethod, parts: InterceptorParts, handle: Next<T>): Next<T> {
  return INTERCEPTORS.map(({ create }) => create(method, parts)).reduceRight<Next<T>>(
    (next, interceptor) => (call, request) => interceptor(call, request, next),
    handle,
  );
}
