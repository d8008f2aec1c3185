/**
 * A process that renders the ordinary bundle at a steady rate over one connection, whatever becomes of the renders
 * before (an open loop): a server that stalls is asked all the same, and every render that waits shows.
 */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/cli/client.ts';
import { ORDINARY_RENDER } from './ordinary-bundle.ts';
import type { RenderLatencies } from './ordinary-renders.ts';

async function render(server: string, rate: number, stopped: () => boolean): Promise<RenderLatencies> {
  const { clients, close } = connect(server);
  const latencies: number[] = [];
  let failed = 0;
  const pending = new Set<Promise<void>>();
  const start = performance.now();
  for (let sent = 0; !stopped(); sent += 1) {
    await sleep(Math.max(0, start + (sent * 1000) / rate - performance.now()));
    const begin = performance.now();
    const call = clients.renders.render(ORDINARY_RENDER).then(
      () => void latencies.push(performance.now() - begin),
      () => void (failed += 1),
    );
    pending.add(call);
    void call.then(() => pending.delete(call));
  }
  await Promise.all(pending);
  close();
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
  return { renders: sorted.length, failed, p50: at(0.5), p99: at(0.99), max: at(1) };
}

let stopped = false;
process.once('message', () => (stopped = true));
const [server, rate] = process.argv.slice(2) as [string, string];
process.send?.(await render(server, Number(rate), () => stopped));
process.disconnect();
