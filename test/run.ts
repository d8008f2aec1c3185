/**
 * Runs all tests: most of them in three processes of mocha at once, each with a PostgreSQL of its own, since much of
 * the time a test waits for a process to start or a deadline to pass; then those that judge by the clock, alone.
 * Arguments go to all of them.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

const MOCHA = createRequire(import.meta.url).resolve('mocha/bin/mocha.js');

type Files = readonly string[];

const ALL = 'test/**/*.test.ts';
const BY_THE_CLOCK = ['test/chaos/chaos.test.ts', 'test/chaos/receipts.test.ts'];
const PROCESSES = ['test/e2e/process/**/*.test.ts'];
const COMPUTING = [
  'test/e2e/{concurrency,render}/**/*.test.ts',
  'test/property/**/*.test.ts',
  'test/chaos/kills.test.ts',
];
const STORING = ['test/integration/{audit,storage}/**/*.test.ts'];

/**
 * Not measured: what these show of the code others show as well, and the hundreds of threads and processes that they
 * start need half the time if they are not, and if they find the sources stripped and compiled.
 */
const UNMEASURED: NodeJS.ProcessEnv = {
  ...process.env,
  NODE_V8_COVERAGE: undefined,
  NODE_COMPILE_CACHE: join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled'),
};

const running = new Set<ChildProcess>();
// The terminal's SIGINT reaches them as well; their end is waited for.
process.on('SIGINT', () => {});
let stopped = false;
process.on('SIGTERM', () => {
  stopped = true;
  for (const child of running) child.kill();
});

// Each of the three takes about as long as the others.
await Promise.all([
  run([ALL], { without: [PROCESSES, COMPUTING, STORING, BY_THE_CLOCK] }),
  run(STORING, { output: 'held back' }),
  run(COMPUTING, { output: 'held back', env: UNMEASURED }).then(() => run(PROCESSES, { output: 'held back' })),
]);
await run(BY_THE_CLOCK, { env: UNMEASURED });

interface Circumstances {
  readonly without?: readonly Files[];
  /** Whether it shows at once, or when the process has ended, so that lines do not mix. */
  readonly output?: 'at once' | 'held back';
  readonly env?: NodeJS.ProcessEnv;
}

async function run(
  files: Files,
  { without = [], output = 'at once', env = process.env }: Circumstances,
): Promise<void> {
  if (stopped) return;
  const ignored = without.flat().flatMap((each) => ['--ignore', each]);
  const child = spawn(process.execPath, [MOCHA, ...files, ...ignored, ...process.argv.slice(2)], {
    stdio: ['ignore', output === 'at once' ? 'inherit' : 'pipe', 'inherit'],
    env,
  });
  running.add(child);
  const said = child.stdout === null ? '' : buffer(child.stdout);
  const [code] = (await once(child, 'close')) as [number | null];
  running.delete(child);
  process.stdout.write(await said);
  if (code !== 0) process.exitCode = 1;
}
