/**
 * Runs all tests: most of them in three processes of mocha at once, each with a PostgreSQL of its own, since much of
 * the time a test waits for a process to start or a deadline to pass; then those that judge by the clock, alone.
 * Arguments go to all of them. One that does not end is ended, having told what it was at, and has failed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

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

/** Several times what the longest takes, on two cores. */
const BOUND_MS = 15 * 60_000;
const REPORT_MS = 5_000;

const folder = mkdtempSync(join(tmpdir(), 'platen-tests-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

const running = new Set<ChildProcess>();
let stopped = false;
// The terminal's SIGINT reaches them as well; their end is waited for.
process.on('SIGINT', () => {
  stopped = true;
  process.exitCode = 1;
});
process.on('SIGTERM', () => {
  stopped = true;
  process.exitCode = 1;
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
  const own = mkdtempSync(join(folder, 'process-'));
  const said = join(own, 'output');
  const report = join(own, 'report.json');
  const reporting = ['--report-on-signal', `--report-directory=${own}`, '--report-filename=report.json'];
  // To a file rather than a pipe, which is open for as long as any process that a test has left behind.
  const child = spawn(process.execPath, [...reporting, MOCHA, ...files, ...ignored, ...process.argv.slice(2)], {
    stdio: ['ignore', output === 'at once' ? 'inherit' : openSync(said, 'w'), 'inherit'],
    env,
  });
  running.add(child);
  const bound = setTimeout(() => void giveUp(child, report), BOUND_MS);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(bound);
  running.delete(child);
  if (output === 'held back') process.stdout.write(readFileSync(said));
  if (code !== 0) process.exitCode = 1;
}

/** Ends a process that hangs, once it has reported where. */
async function giveUp(child: ChildProcess, report: string): Promise<void> {
  child.kill('SIGUSR2');
  await delay(REPORT_MS);
  child.kill('SIGKILL');
  const { javascriptStack, libuv } = existsSync(report)
    ? (JSON.parse(readFileSync(report, 'utf8')) as Record<string, unknown>)
    : {};
  process.stderr.write(`did not end: ${JSON.stringify({ process: child.spawnargs, javascriptStack, libuv })}\n`);
}
