import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

const BREAKER_STATES = { closed: 0, half_open: 1, open: 2 };
/** What fails again within this time is the same outage. */
const OUTAGE_MS = 60_000;
/** Most dead letters of a batch that are logged one by one. */
const MOST_TOLD = 10;

/** Counts where published content is found, and logs why a read replica is of no use. */
export function contentObserver(metrics: Metrics, logger: Logger) {
  const replica = new Outage();
  return {
    hit: (level: string, kind: string) => {
      if (level === 'l1' && kind === 'document') metrics.firstLevelHits += 1;
      else metrics.cacheHits.inc({ level, kind });
    },
    miss: (level: string, kind: string) => metrics.cacheMisses.inc({ level, kind }),
    corrupt: (kind: string) => metrics.cacheCorrupt.inc({ kind }),
    replicaFailed: (error: unknown) => {
      if (replica.begins()) logger.error({ err: error }, 'the read replica cannot be used; the primary is asked');
    },
  };
}

/** Measures and counts what the guards of stores do, and logs when a store goes and when it is back. */
export function guardObserver(metrics: Metrics, logger: Logger) {
  const away = new Set<string>();
  return {
    state: (store: string, state: keyof typeof BREAKER_STATES) => {
      metrics.storeBreakerState.set({ store }, BREAKER_STATES[state]);
      if (state === 'open' && !away.has(store)) {
        away.add(store);
        logger.warn({ store }, 'a store does not answer; it is left alone, and tried from time to time');
      }
      if (state === 'closed' && away.delete(store)) logger.info({ store }, 'the store answers again');
    },
    rejected: (store: string, reason: string) => metrics.storeRejections.inc({ store, reason }),
  };
}

/** Counts what fails in Redis, and logs what an outage begins with. */
export function redisObserver(metrics: Metrics, logger: Logger) {
  const operations = new Outage();
  const connections = new Outage();
  return {
    failed: (operation: string, reason: string) => {
      metrics.redisErrors.inc({ operation });
      if (operations.begins()) logger.warn({ operation, reason }, 'Redis cannot be used');
    },
    disconnected: (reason: string) => {
      if (connections.begins()) logger.warn({ reason }, 'no connection to Redis; connecting again');
    },
    connected: () => {
      connections.end();
      logger.info('connected to Redis');
    },
  };
}

/** Failures that come one soon after the other. */
class Outage {
  #last = -Infinity;

  /** Whether the failure that is told is the first of an outage. */
  begins(): boolean {
    const now = Date.now();
    const first = now - this.#last >= OUTAGE_MS;
    this.#last = now;
    return first;
  }

  end(): void {
    this.#last = -Infinity;
  }
}

/** Measures and logs what the route feed does; of an outage, only what is new about it. */
export function feedObserver(metrics: Metrics, logger: Logger) {
  const seen = { applied: 0, head: 0 };
  let outage: string | undefined;
  const saw = (seqs: Partial<typeof seen>) => {
    Object.assign(seen, seqs);
    metrics.routeMapLag.set(Math.max(0, seen.head - seen.applied));
  };
  return {
    propagated: (seconds: number) => metrics.releasePropagation.observe(Math.max(0, seconds)),
    applied: (seq: number) => {
      metrics.appliedSeq.set(seq);
      saw({ applied: seq });
    },
    head: (seq: number) => {
      saw({ head: seq });
      if (outage !== undefined) logger.info({ seq }, 'the change log is followed again');
      outage = undefined;
    },
    reloaded: (reason: string) => {
      metrics.routeMapReloads.inc();
      logger.info({ reason }, 'the route map was loaded');
    },
    disconnected: (error: Error) => {
      if (error.message === outage) return;
      outage = error.message;
      logger.warn({ err: error }, 'the change log cannot be followed; connecting again');
    },
  };
}

/** Measures, counts and logs what renders do. */
export function renderObserver(metrics: Metrics, logger: Logger) {
  const late = new Outage();
  return {
    rendered: metrics.renderLatency.series(),
    fellBack: (event: { tenant: string; target: string; reason: string; answeredWith: string }) => {
      metrics.fallbacks.inc({ reason: event.reason });
      logger.warn(event, 'nothing answers for a render; a fallback was used');
    },
    receiptLost: (receipt: object, error: unknown) => {
      metrics.receiptsLost.inc();
      logger.error({ receipt, err: error }, 'the receipt of a render is lost');
    },
    receiptLate: ({ renderId }: { readonly renderId: string }, error: unknown) => {
      metrics.receiptsLate.inc();
      if (late.begins()) logger.warn({ renderId, err: error }, 'receipts are not in the database in time');
    },
  };
}

/** Counts what the journal of receipts does not take, and logs when that begins and ends. */
export function journalObserver(metrics: Metrics, logger: Logger) {
  let failing = false;
  return {
    failed: (reason: string, error: Error) => {
      metrics.journalFailures.inc({ reason });
      if (!failing) logger.error({ reason, err: error }, 'the journal takes no receipts');
      failing = true;
    },
    recovered: () => {
      failing = false;
      logger.info('the journal takes receipts again');
    },
  };
}

/** Measures, counts and logs how receipts get from journals into the database. */
export function drainObserver(metrics: Metrics, logger: Logger) {
  const failures = new Map<string, Outage>();
  let away: string | undefined;
  return {
    settled: (batch: {
      readonly chained: number;
      readonly seconds: number;
      readonly torn: number;
      readonly deadLetters: readonly { readonly renderId: string; readonly reason: string }[];
    }) => {
      const { chained, seconds, torn, deadLetters } = batch;
      metrics.drained.inc(chained);
      if (seconds > 0) metrics.drainTime.observe(seconds);
      metrics.journalTorn.inc(torn);
      if (torn > 0) logger.warn({ torn }, 'a journal ends within a receipt that nobody was told to be kept');
      metrics.deadLetters.inc(deadLetters.length);
      if (deadLetters.length > 0) {
        const told = { count: deadLetters.length, deadLetters: deadLetters.slice(0, MOST_TOLD) };
        logger.error(told, 'receipts were set aside as dead letters');
      }
      if (away !== undefined) logger.info('receipts reach the database again');
      away = undefined;
    },
    away: (reason: string) => {
      if (reason === away) return;
      away = reason;
      logger.warn({ reason }, 'receipts wait in the journal until the database takes them');
    },
    failed: (work: string, reason: string) => {
      const outage = failures.get(work) ?? new Outage();
      failures.set(work, outage);
      if (outage.begins()) logger.error({ work, reason }, 'a part of draining receipts failed; it is tried again');
    },
    adopted: (directory: string) => logger.info({ directory }, 'the journal of a worker that is gone is drained'),
    died: (error: unknown) => logger.error({ err: error }, 'the thread that drains receipts ended; it starts again'),
  };
}

/** Measures, counts and logs what worker threads do. */
export function workObserver(metrics: Metrics, logger: Logger) {
  return {
    done: (work: string, seconds: number) => metrics.workerTask.observe({ work }, seconds),
    ended: (work: string, reason: string) => metrics.workerTasksEnded.inc({ work, reason }),
    threadFailed: (error: unknown) => logger.error({ err: error }, 'a worker thread failed; another one replaces it'),
  };
}
