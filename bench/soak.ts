/**
 * Whether a server under steady load grows. See bench/README.md.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { RenderService } from '../gen/platen/v1/render_service_pb.js';
import type { Clients } from '../src/cli/client.ts';
import { openLoop, type Latencies, type LoadTarget } from './load/load.ts';
import { writeChart } from './support/chart.ts';
import { ORDINARY_BUNDLE, ORDINARY_RENDER, releaseOrdinaryBundle } from './support/ordinary-bundle.ts';
import { withOwnDatabase } from './support/own-database.ts';
import { circumstances, writeResult } from './support/result-file.ts';
import { soakChart } from './support/soak-chart.ts';
import { growthOf, type Growth, type Sample } from './support/soak-growth.ts';
import { Call } from './throughput/call.ts';
import { PlatenServer } from './throughput/platen-server.ts';
import {
  CHECKED_BUNDLE,
  CHURNED_BUNDLE,
  CHURNED_VERSIONS,
  releaseCheckedBundle,
  releaseChurnedBundle,
  renderOf,
} from './throughput/prompts.ts';
import { ReleaseChurn } from './throughput/release-churn.ts';

const SAMPLE_MS = 1_000;
/** Renders a second over a stream; the others are calls of their own. */
const STREAMED = 200;
const IN_FLIGHT = 16;
const CONNECTIONS = 4;
/** The load begins anew each time, with new connections. */
const ROUND_SECONDS = 60;
const RELEASES_PER_SECOND = 0.5;
/** Between two calls of an author or a checker. */
const CALL_PAUSE_MS = 500;
const LEAST_BYTES = 4_000;

const { values: options } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, rate: { type: 'string', default: '2000' } },
});
const seconds = 60 * Number(options.minutes);
const rate = Number(options.rate);

interface Round {
  readonly calls: number;
  readonly errors: number;
  /** Those of the errors that were given up ten seconds after the round. */
  readonly unanswered: number;
  readonly latencies: Latencies;
}

function say(line: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
}

/** Renders again and again until it is over. @returns what became of them, round by round */
async function load(target: LoadTarget, connections: number, perSecond: number): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let left = seconds; left > 0; left -= ROUND_SECONDS) {
    const length = Math.min(left, ROUND_SECONDS);
    rounds.push(await openLoop(target, { seconds: length, connections, rate: perSecond }));
  }
  return rounds;
}

/** Repeats a call, one at a time, while the load goes on. @returns how many were answered */
async function repeat(call: () => Promise<unknown>, isOver: () => boolean): Promise<number> {
  let calls = 0;
  for (; !isOver(); calls += 1) {
    await call();
    await sleep(CALL_PAUSE_MS);
  }
  return calls;
}

async function sampleUntil(server: PlatenServer, isOver: () => boolean): Promise<Sample[]> {
  const samples: Sample[] = [];
  const start = performance.now();
  while (!isOver()) {
    const page = await server.metrics();
    const second = Math.round((performance.now() - start) / 1_000);
    samples.push({
      second,
      resident: page.sum('process_resident_memory_bytes'),
      heapUsed: page.sum('nodejs_heap_size_used_bytes'),
      external: page.sum('nodejs_external_memory_bytes'),
      journalDepth: page.sum('audit_journal_depth'),
    });
    if (second % 10 === 0) say(`${second} of ${seconds} s: ${megabytes(samples.at(-1)!.resident)} MB resident …`);
    await sleep(Math.max(0, start + SAMPLE_MS * samples.length - performance.now()));
  }
  return samples;
}

async function callsOf(clients: Clients): Promise<(() => Promise<unknown>)[]> {
  await releaseOrdinaryBundle(clients);
  await releaseChurnedBundle(clients);
  const output = await releaseCheckedBundle(clients);
  const { renders } = clients;
  const subject = { case: 'bundleDraft' as const, value: ORDINARY_BUNDLE };
  return [
    () => renders.preview({ subject, variables: ORDINARY_RENDER.variables }),
    () => renders.checkOutput({ bundleId: CHECKED_BUNDLE, version: '1.0.0', output }),
    () => renders.render(renderOf(CHURNED_BUNDLE)),
  ];
}

async function run(settings: Readonly<Record<string, string>>) {
  const server = await PlatenServer.start(settings);
  try {
    const calls = await callsOf(server.clients);
    const { method } = RenderService;
    const unary = Call.of(method.render, [ORDINARY_RENDER], ({ text }) => text.length >= LEAST_BYTES);
    const stream = Call.of(method.renderStream, [{ id: 1, request: ORDINARY_RENDER }], ({ id }) => id === 1);
    const targets = await Promise.all(
      [unary, stream].map(async (call) => call.target(server.address, await call.answerOf(server.address), IN_FLIGHT)),
    );
    let over = false;
    const isOver = (): boolean => over;
    const churn = new ReleaseChurn(server.clients, CHURNED_BUNDLE, CHURNED_VERSIONS, RELEASES_PER_SECOND);
    const loads = Promise.all([load(targets[0]!, CONNECTIONS, rate - STREAMED), load(targets[1]!, 1, STREAMED)]);
    const [[unaries, streams], samples, [previews, checks]] = await Promise.all([
      loads.finally(() => (over = true)),
      sampleUntil(server, isOver),
      Promise.all(calls.map((call) => repeat(call, isOver))),
    ]).finally(() => (over = true));
    return { unaries, streams, previews, checks, releases: await churn.stop(), samples };
  } finally {
    say('');
    await server.stop();
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

function line(name: string, { early, late, share }: Growth): string {
  const percent = `${share < 0 ? '' : '+'}${(100 * share).toFixed(1)} %`;
  return `${name.padEnd(24)}${megabytes(early).padStart(10)}${megabytes(late).padStart(10)}${percent.padStart(10)}`;
}

const { date, machine } = circumstances();
const { samples, ...done } = await withOwnDatabase(({ serverUrl, ownerUrl }) =>
  run({ PLATEN_DATABASE_URL: serverUrl, PLATEN_DATABASE_OWNER_URL: ownerUrl }),
);
const rounds = [...done.unaries, ...done.streams];
const errors = rounds.reduce((sum, round) => sum + round.errors, 0);
const unanswered = rounds.reduce((sum, round) => sum + round.unanswered, 0);
const renders = rounds.reduce((sum, round) => sum + round.calls, 0);
const growth = growthOf(samples);
const file = await writeResult('soak', { date, machine, seconds, rate, growth, renders, errors, ...done, samples });
const chart = file.replace(/\.json$/, '.svg');
await writeChart(chart, soakChart(samples, `${renders} renders in ${seconds} s, ${date.slice(0, 10)}`));

process.stdout.write(`
MB, median                   early      late    growth
${line('resident', growth.resident)}
${line('heap used', growth.heapUsed)}

${renders} renders, ${errors - unanswered} failed, ${unanswered} given up 10 s after their round;
${done.releases} releases, ${done.previews} previews, ${done.checks} checks.
Most receipts in the journal: ${Math.max(...samples.map(({ journalDepth }) => journalDepth))}.
The server ${growth.grows ? 'grows' : 'does not grow'}.
Written to ${file} and ${chart}.
`);
process.exitCode = growth.grows || errors > 0 ? 1 : 0;
