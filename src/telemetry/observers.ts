import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** Counts what the caches do. */
export function cacheObserver(metrics: Metrics) {
  return {
    hit: (level: 'l1') => metrics.cacheHits.inc({ level }),
    miss: (level: 'l1') => metrics.cacheMisses.inc({ level }),
  };
}

/** Measures and logs what the route feed does. */
export function feedObserver(metrics: Metrics, logger: Logger) {
  return {
    propagated: (seconds: number) => metrics.releasePropagation.observe(Math.max(0, seconds)),
    applied: (seq: number) => metrics.appliedSeq.set(seq),
    reloaded: (reason: string) => logger.info({ reason }, 'the route map was loaded'),
    disconnected: (error: Error) => logger.warn({ err: error }, 'the change log cannot be followed; connecting again'),
  };
}

/** Measures, counts and logs what renders do. */
export function renderObserver(metrics: Metrics, logger: Logger) {
  return {
    rendered: (seconds: number) => metrics.renderLatency.observe(seconds),
    fellBack: (event: { tenant: string; target: string; reason: string; answeredWith: string }) => {
      metrics.fallbacks.inc({ reason: event.reason });
      logger.warn(event, 'nothing answers for a render; a fallback was used');
    },
    receiptLost: (receipt: object, error: unknown) => {
      metrics.receiptsLost.inc();
      logger.error({ receipt, err: error }, 'the receipt of a render could not be written');
    },
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
