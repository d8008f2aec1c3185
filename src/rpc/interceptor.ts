import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Call, CallRequest } from './call.ts';
import type { Drain } from './drain.ts';
import type { Outcome } from './errors.ts';
import type { ServedMethod } from './method.ts';

/** The rest of the chain; resolves with the transport's form of the answer, or once all of a stream was handed over. */
export type Next<T> = (call: Call, request: CallRequest) => Promise<T>;

/** Acts around the rest of the chain, the same for either port. It may throw instead of rejecting. */
export type Interceptor = <T>(call: Call, request: CallRequest, next: Next<T>) => Promise<T>;

/** What interceptors are made of. */
export interface InterceptorParts {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly drain: Drain;
  /** How long a client may stay with this server, in milliseconds; 0: for ever. */
  readonly connectionAgeMs: number;
}

/** Makes an interceptor for one method, so that what depends on the method is worked out once. */
export type InterceptorFactory = (method: ServedMethod, parts: InterceptorParts) => Interceptor;

/** Told how a call ended, and how long it took in seconds, once. Must not throw. */
export type Observer = (call: Call, outcome: Outcome, seconds: number) => void;

/** Makes an observer for one method. */
export type ObserverFactory = (method: ServedMethod, parts: InterceptorParts) => Observer;
