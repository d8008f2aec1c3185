/**
 * `npm run chaos [-- --seconds 300] [-- --seed 1] [-- --kills 50] [-- --away 60]`: faults in random order under load, and
 * what has to hold meanwhile; then servers killed so often, and PostgreSQL away for so many seconds, and what became of
 * their receipts. The exit code is 1 if something did not hold.
 */
import { parseArgs } from 'node:util';
import { POSTGRES_FAULTS, REDIS_FAULTS, type Fault } from '../support/chaos/faults.ts';
import type { Random } from '../support/chaos/random.ts';
import { runKills, runOutage, type ReceiptRun } from '../support/chaos/receipt-runs.ts';
import { runChaos } from '../support/chaos/run-chaos.ts';
import { startRedis } from '../support/redis-server.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    kills: { type: 'string', default: '50' },
    away: { type: 'string', default: '60' },
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

function judge({ kept, unkept, missing, doubled, findings, verified }: ReceiptRun): void {
  say(`${kept} receipts promised, ${unkept} refused; ${missing.length} missing, ${doubled.length} doubled`);
  say(`${verified} receipts verified, ${findings.length} findings\n${findings.join('\n')}`);
  if (missing.length + doubled.length + findings.length + unkept > 0) process.exitCode = 1;
}

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());

say(`seed ${seed}, ${seconds} s`);
const redis = await startRedis();
try {
  const ledger = await runChaos({ seed, redis, faults, say, stop: interrupted.signal });
  say(`\n${ledger.table()}\n`);
  if (ledger.violations.length > 0) process.exitCode = 1;
  if (Number(values.kills) > 0) judge(await runKills({ rounds: Number(values.kills), seed, say }));
  if (Number(values.away) > 0) judge(await runOutage(Number(values.away), say));
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  say('broken off');
  process.exitCode = 130;
} finally {
  await redis.stop();
}
