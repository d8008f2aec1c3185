import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Milliseconds. */
export interface RenderLatencies {
  readonly renders: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * Renders the ordinary bundle at a steady rate from a process of its own.
 * @param rate renders a second
 * @returns ends it, and says how long the renders took
 */
export function startOrdinaryRenders(server: string, rate: number): () => Promise<RenderLatencies> {
  const child = fork(join(import.meta.dirname, 'render-loop.ts'), [server, String(rate)]);
  return async () => {
    child.send('stop');
    const [report] = (await once(child, 'message')) as [RenderLatencies];
    return report;
  };
}
