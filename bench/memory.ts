/**
 * What a server's memory comes to that holds ten thousand bundles. See bench/README.md.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { connect, type Clients } from '../src/cli/client.ts';
import type { MemoryQuestion, MemoryReport } from './support/memory-probe.ts';
import { ORDINARY_VARIABLES } from './support/ordinary-bundle.ts';
import { withOwnDatabase } from './support/own-database.ts';
import { releaseBundles, releasedBundleId } from './support/released-bundles.ts';
import { circumstances, writeResult } from './support/result-file.ts';
import { ServerProcess } from './support/server-process.ts';
import { MetricsPage } from './throughput/metrics-page.ts';

const ROOT = join(import.meta.dirname, '..');
const PROBE = join(import.meta.dirname, 'support', 'memory-probe.ts');
/** What `npm run build` makes, which is what the image has. */
const BUILT_MAIN = join(ROOT, 'dist', 'src', 'main.js');
const RESIDENT_LIMIT = 300e6;
const IN_FLIGHT = 32;
const START_REST_MS = 10_000;
/** V8 collects what a process at rest does not need 100 s after its last collection, in several steps. */
const REST_MS = 150_000;

const { values: options } = parseArgs({ options: { bundles: { type: 'string', default: '10000' } } });
const bundles = Number(options.bundles);

/** The server at one moment. */
interface Moment extends MemoryReport {
  readonly when: string;
  /** What the compiled bundles take, as the server estimates it. */
  readonly cacheBytes: number;
  /** Bundles that were not in memory when they were asked for, so far. */
  readonly cacheMisses: number;
}

interface Moments {
  readonly idle: Moment;
  readonly filled: Moment;
  readonly rendered: Moment;
  readonly rested: Moment;
  readonly collected: Moment;
}

async function momentOf(server: ServerProcess, when: string, question: MemoryQuestion = 'as it is'): Promise<Moment> {
  const report = await server.ask<MemoryReport>(question);
  const metrics = new MetricsPage(await (await fetch(`${server.httpUrl}/metrics`)).text());
  return {
    when,
    ...report,
    cacheBytes: metrics.sum('bundle_cache_bytes', { level: 'l1' }),
    cacheMisses: metrics.sum('bundle_cache_misses_total', { level: 'l1', kind: 'document' }),
  };
}

/** Renders every bundle once, some at a time. */
async function renderEach({ renders }: Clients): Promise<void> {
  let next = 0;
  const renderNext = async (): Promise<void> => {
    while (next < bundles) {
      const bundleId = releasedBundleId(next);
      next += 1;
      await renders.render({ target: { case: 'bundle', value: { bundleId } }, variables: ORDINARY_VARIABLES });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, renderNext));
}

/** Neither the server nor what is loaded ahead of it may need Node to strip types: that takes memory in each thread. */
async function withBuiltProbe<T>(work: (probe: string) => Promise<T>): Promise<T> {
  await promisify(execFile)('npm', ['run', 'build'], { cwd: ROOT });
  const directory = await mkdtemp(join(tmpdir(), 'platen-bench-'));
  try {
    const probe = join(directory, 'memory-probe.mjs');
    await writeFile(probe, stripTypeScriptTypes(await readFile(PROBE, 'utf8')));
    return await work(probe);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(probe: string, settings: Readonly<Record<string, string>>): Promise<Moments> {
  const server = await ServerProcess.start({ settings, probe, main: BUILT_MAIN });
  const { clients, close } = connect(server.grpcUrl);
  try {
    await sleep(START_REST_MS);
    const idle = await momentOf(server, 'idle, nothing cached');
    await renderEach(clients);
    const filled = await momentOf(server, 'each rendered once');
    await renderEach(clients);
    const rendered = await momentOf(server, 'each rendered twice');
    await sleep(REST_MS);
    const rested = await momentOf(server, 'at rest again');
    return { idle, filled, rendered, rested, collected: await momentOf(server, 'garbage collected', 'collected') };
  } finally {
    close();
    await server.stop();
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

function table(moments: readonly Moment[]): string {
  const headings = ['MB', 'RSS', 'most RSS', 'heap used', 'external', 'buffers', 'L1 estimate', 'L1 misses'];
  const rows = moments.map(({ when, cacheMisses, ...moment }) => [
    when,
    ...[moment.resident, moment.residentMax, moment.heapUsed, moment.external, moment.arrayBuffers].map(megabytes),
    megabytes(moment.cacheBytes),
    String(cacheMisses),
  ]);
  return [headings, ...rows]
    .map(([name, ...cells]) => name!.padEnd(22) + cells.map((cell) => cell.padStart(12)).join(''))
    .join('\n');
}

const { date, machine } = circumstances();
const moments = await withBuiltProbe((probe) =>
  withOwnDatabase(async ({ session, serverUrl, ownerUrl }) => {
    await releaseBundles(session, bundles);
    return measure(probe, { PLATEN_DATABASE_URL: serverUrl, PLATEN_DATABASE_OWNER_URL: ownerUrl });
  }),
);
const { filled, rendered, rested, collected } = moments;
const estimatedBytes = rested.cacheBytes / bundles;
const missedAgain = rendered.cacheMisses - filled.cacheMisses;
const file = await writeResult('memory', { date, machine, bundles, moments, estimatedBytes, missedAgain });

process.stdout.write(`${table(Object.values(moments))}

${bundles} bundles of 4 KB, of which the server estimates that each takes ${estimatedBytes.toFixed(0)} bytes.
The second time all but ${missedAgain} of them were found in memory.
Resident at rest: ${megabytes(rested.resident)} MB; the limit is ${megabytes(RESIDENT_LIMIT)} MB.
Written to ${file}.
`);
process.exitCode = rested.resident >= RESIDENT_LIMIT || missedAgain > 0 || collected.cacheMisses < bundles ? 1 : 0;
