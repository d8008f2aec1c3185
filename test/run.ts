/**
 * Runs all tests: most of them in two processes of mocha at once, each with a PostgreSQL of its own, since much of the
 * time a test waits for a process to start or a deadline to pass; then those that judge by the clock, alone. Arguments
 * go to all of them.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { buffer } from 'node:stream/consumers';

const MOCHA = createRequire(import.meta.url).resolve('mocha/bin/mocha.js');

const ALL = 'test/**/*.test.ts';
const BY_THE_CLOCK = 'test/chaos/**/*.test.ts';
/** Those that wait most: together they take about as long as all others. */
const WAITING = 'test/e2e/{concurrency,process,render}/**/*.test.ts';

const running = new Set<ChildProcess>();
// The terminal's SIGINT reaches them as well; their end is waited for.
process.on('SIGINT', () => {});
let stopped = false;
process.on('SIGTERM', () => {
  stopped = true;
  for (const child of running) child.kill();
});

await Promise.all([run([ALL, '--ignore', WAITING, '--ignore', BY_THE_CLOCK]), run([WAITING], 'held back')]);
if (!stopped) await run([BY_THE_CLOCK]);

/** @param output whether it shows at once, or when the process has ended, so that lines do not mix */
async function run(args: readonly string[], output: 'at once' | 'held back' = 'at once'): Promise<void> {
  const child = spawn(process.execPath, [MOCHA, ...args, ...process.argv.slice(2)], {
    stdio: ['ignore', output === 'at once' ? 'inherit' : 'pipe', 'inherit'],
  });
  running.add(child);
  const said = child.stdout === null ? '' : buffer(child.stdout);
  const [code] = (await once(child, 'close')) as [number | null];
  running.delete(child);
  process.stdout.write(await said);
  if (code !== 0) process.exitCode = 1;
}
