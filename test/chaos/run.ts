/**
 * `npm run chaos [-- --seconds 300] [-- --seed 1]`: faults in random order under load, and what has to hold meanwhile.
 * The exit code is 1 if something did not hold.
 */
import { parseArgs } from 'node:util';
import { POSTGRES_FAULTS, REDIS_FAULTS, type Fault } from '../support/chaos/faults.ts';
import type { Random } from '../support/chaos/random.ts';
import { runChaos } from '../support/chaos/run-chaos.ts';
import { startRedis } from '../support/redis-server.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** All faults in a random order, again and again, until the time is over. */
function* faults(random: Random): Generator<Fault> {
  const end = performance.now() + seconds * 1_000;
  for (;;) {
    for (const fault of random.shuffled([...POSTGRES_FAULTS, ...REDIS_FAULTS])) {
      if (performance.now() > end) return;
      yield fault;
    }
  }
}

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());

say(`seed ${seed}, ${seconds} s`);
const redis = await startRedis();
try {
  const ledger = await runChaos({ seed, redis, faults, say, stop: interrupted.signal });
  say(`\n${ledger.table()}`);
  process.exitCode = ledger.violations.length > 0 ? 1 : 0;
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  say('broken off');
  process.exitCode = 130;
} finally {
  await redis.stop();
}
