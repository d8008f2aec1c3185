/**
 * Loaded into the server's process ahead of it (`node --import`): tells the parent process what its memory is used for
 * whenever it is asked. The server knows nothing of it.
 */
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

/** As things are, garbage and all; or after a full collection of garbage, which changes what is measured later. */
export type MemoryQuestion = 'as it is' | 'collected';

/** Bytes. */
export interface MemoryReport {
  /** Of the whole process, worker threads included. */
  readonly resident: number;
  /** The most that `resident` ever was. */
  readonly residentMax: number;
  /** Of the main thread, as the rest. */
  readonly heapUsed: number;
  readonly external: number;
  /** Part of `external`. */
  readonly arrayBuffers: number;
}

function collect(): void {
  // Only now: a flag that is set from the start would change what is measured.
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

function watch(): void {
  process.on('message', (question: MemoryQuestion) => {
    if (question === 'collected') collect();
    const { rss: resident, heapUsed, external, arrayBuffers } = process.memoryUsage();
    const residentMax = process.resourceUsage().maxRSS * 1024;
    const report: MemoryReport = { resident, residentMax, heapUsed, external, arrayBuffers };
    process.send?.(report);
  });
  process.channel?.unref();
}

if (isMainThread) watch();
