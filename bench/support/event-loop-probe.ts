/**
 * Loaded into the server's process ahead of it (`node --import`): watches its event loop and its garbage collector, and
 * tells the parent process what it saw since it was last asked. The server knows nothing of it.
 */
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';

/** Milliseconds. */
export interface LoopReport {
  /** Longest time between two turns of a timer that is due every millisecond. */
  readonly delayMax: number;
  readonly delayP99: number;
  /** Longest single collection of garbage in the thread of the event loop. */
  readonly collectionMax: number;
}

const NANOSECONDS = 1e6;

function watch(): void {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let collectionMax = 0;
  const note = (list: { getEntries(): readonly { readonly duration: number }[] }): void => {
    for (const { duration } of list.getEntries()) collectionMax = Math.max(collectionMax, duration);
  };
  new PerformanceObserver(note).observe({ entryTypes: ['gc'] });
  process.on('message', () => {
    const report: LoopReport = {
      delayMax: delay.max / NANOSECONDS,
      delayP99: delay.percentile(99) / NANOSECONDS,
      collectionMax,
    };
    delay.reset();
    collectionMax = 0;
    process.send?.(report);
  });
  process.channel?.unref();
}

if (isMainThread) watch();
