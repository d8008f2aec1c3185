/**
 * Loaded into a server's process ahead of it (`node --import`): tells the parent process, whenever it asks, what
 * processor time the process took so far. The server knows nothing of it.
 */
import cluster from 'node:cluster';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';

/** What the parent process sends to be told. */
export const CPU_QUESTION = 'cpu';

/** Microseconds since the process began, in user and system mode. */
export interface CpuTimes {
  /** Of the main thread, which answers requests. */
  readonly thread: number;
  /** Of all threads. */
  readonly process: number;
}

function total({ user, system }: NodeJS.CpuUsage): number {
  return user + system;
}

// What the server starts, threads and workers, loads this as well.
if (isMainThread && cluster.isPrimary) {
  process.on('message', (question) => {
    if (question !== CPU_QUESTION) return;
    const times: CpuTimes = { thread: total(process.threadCpuUsage()), process: total(process.cpuUsage()) };
    process.send?.(times);
  });
  process.channel?.unref();
}
