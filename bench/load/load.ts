import { h2loadClosedLoop, hasH2load, suitsH2load } from './h2load.ts';
import { http2ClosedLoop, http2OpenLoop } from './http2-load.ts';

/** One kind of call to a gRPC server. */
export interface LoadTarget {
  /** host:port */
  readonly address: string;
  /** /platen.v1.RenderService/Render */
  readonly path: string;
  /** Request messages in protobuf, unframed, sent in turn. */
  readonly messages: readonly Buffer[];
  /** For a stream: many messages on one bidirectional call per connection; else unary. */
  readonly stream?: { readonly inFlight: number };
  /** How long an answer must be at least to count as one: an error has no message. */
  readonly leastAnswerBytes: number;
}

/** What became of the calls. */
export interface LoadResult {
  /** Calls that were answered. */
  readonly calls: number;
  /** From the first call to the last answer. */
  readonly seconds: number;
  /** Calls that failed, or were not answered when the generator gave up. They are not in `calls`. */
  readonly errors: number;
  readonly generator: 'h2load' | 'http2';
}

/** In milliseconds, from the moment a call was due, so that a call that had to wait to be sent counts its wait. */
export interface Latencies {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** As fast as the server answers. `inFlight` is per connection; a stream keeps `target.stream.inFlight` instead. */
export async function closedLoop(
  target: LoadTarget,
  options: { seconds: number; connections: number; inFlight: number },
): Promise<LoadResult> {
  const byH2load = suitsH2load(target) && (await hasH2load());
  return byH2load ? h2loadClosedLoop(target, options) : http2ClosedLoop(target, options);
}

/**
 * At a steady rate, in calls a second over all connections, whatever becomes of the calls before. `late` counts the
 * sends that the generator itself began more than 1 ms late: of many, the latencies are the generator's own. The calls
 * of a warm-up, which comes before the seconds, count only if they fail: a generator is late until its code is compiled.
 */
export async function openLoop(
  target: LoadTarget,
  options: { seconds: number; connections: number; rate: number; warmUpSeconds?: number },
): Promise<LoadResult & { latencies: Latencies; late: number; unanswered: number }> {
  return http2OpenLoop(target, options);
}
