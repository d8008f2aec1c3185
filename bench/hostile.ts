/**
 * Whether hostile input leaves renders alone. See bench/README.md.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ConnectError } from '@connectrpc/connect';
import type { LoopReport } from './support/event-loop-probe.ts';
import { HostileClient, type Answer } from './support/hostile-client.ts';
import { releaseOrdinaryBundle } from './support/ordinary-bundle.ts';
import { startOrdinaryRenders, type RenderLatencies } from './support/ordinary-renders.ts';
import { circumstances, writeResult } from './support/result-file.ts';
import { SCENARIOS, type Scenario } from './support/scenarios.ts';
import { ServerProcess } from './support/server-process.ts';

/** A delay of the event loop that a scenario must not cause, in milliseconds. */
const DELAY_LIMIT_MS = 50;
/** Between two scenarios, so that one does not pay for the garbage of another. */
const PAUSE_MS = 1_000;
const WARM_UP_MS = 2_000;

interface Outcome {
  readonly scenario: string;
  readonly what: string;
  /** Why it could not be run; the rest is missing then. */
  readonly notRun?: string;
  readonly calls?: number;
  readonly longestCall?: number;
  readonly answers?: Readonly<Record<Answer, number>>;
  readonly renders?: RenderLatencies;
  readonly loop?: LoopReport;
}

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rate: { type: 'string', default: '100' },
    only: { type: 'string', multiple: true, default: [] },
  },
});

const seconds = Number(options.seconds);
const rate = Number(options.rate);
const only = new Set(options.only);
const chosen = SCENARIOS.filter(({ name }) => only.size === 0 || name === 'none' || only.has(name));

function say(line: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
}

async function run({ name, what, prepare }: Scenario, server: ServerProcess, client: HostileClient): Promise<Outcome> {
  let call: () => Promise<Answer>;
  try {
    call = await prepare(client);
  } catch (error) {
    return { scenario: name, what, notRun: ConnectError.from(error).message };
  }
  await sleep(PAUSE_MS);
  await server.loopReport();
  const endRenders = startOrdinaryRenders(server.grpcUrl, rate);
  const answers: Record<Answer, number> = {};
  let calls = 0;
  let longestCall = 0;
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    const begin = performance.now();
    const answer = await call();
    longestCall = Math.max(longestCall, performance.now() - begin);
    answers[answer] = (answers[answer] ?? 0) + 1;
    calls += 1;
  }
  const renders = await endRenders();
  return { scenario: name, what, calls, longestCall, answers, renders, loop: await server.loopReport() };
}

async function runAll(): Promise<Outcome[]> {
  say('starting a server with an empty database …');
  const server = await ServerProcess.start();
  const client = new HostileClient(server.grpcUrl, server.httpUrl);
  try {
    await releaseOrdinaryBundle(client.clients);
    const endRenders = startOrdinaryRenders(server.grpcUrl, rate);
    await sleep(WARM_UP_MS);
    await endRenders();
    const outcomes: Outcome[] = [];
    for (const [index, scenario] of chosen.entries()) {
      say(`${index + 1} of ${chosen.length}: ${scenario.name} for ${seconds} s: ${scenario.what} …`);
      outcomes.push(await run(scenario, server, client));
    }
    return outcomes;
  } finally {
    say('');
    client.close();
    await server.stop();
  }
}

const milliseconds = (value: number): string => value.toFixed(value < 10 ? 1 : 0);

function row({ scenario, notRun, calls, longestCall, answers, renders, loop }: Outcome): string[] {
  if (notRun !== undefined || renders === undefined || loop === undefined) return [scenario, `not run: ${notRun}`];
  const { p50, p99, max, failed } = renders;
  const told = Object.entries(answers ?? {}).map(([answer, count]) => `${count} ${answer}`);
  return [
    scenario,
    String(calls),
    milliseconds(longestCall ?? 0),
    ...[p50, p99, max].map(milliseconds),
    String(failed),
    ...[loop.delayP99, loop.delayMax, loop.collectionMax].map(milliseconds),
    told.join(', '),
  ];
}

const HEADINGS = [
  ['', 'hostile', 'longest', 'render', 'render', 'render', 'failed', 'loop', 'loop', 'GC', ''],
  ['scenario', 'calls', 'call', 'p50', 'p99', 'max', 'renders', 'p99', 'max', 'max', 'answers to the hostile calls'],
];

function table(outcomes: readonly Outcome[]): string {
  const rows = [...HEADINGS, ...outcomes.map(row)];
  const measured = rows.filter(({ length }) => length > 2);
  const widths = HEADINGS[1]!.map((_, column) => Math.max(...measured.map((cells) => cells[column]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column]!;
        return column === 0 || column === widths.length - 1 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

const { date, machine } = circumstances();
const outcomes = await runAll();
const file = await writeResult('hostile', { date, machine, seconds, rate, outcomes });

const baseline = outcomes.find(({ scenario }) => scenario === 'none')?.loop?.delayMax ?? Number.NaN;
const stalled = outcomes.filter(({ loop }) => loop !== undefined && loop.delayMax >= DELAY_LIMIT_MS);
const notRun = outcomes.filter((outcome) => outcome.notRun !== undefined);
process.stdout.write(`${table(outcomes)}

Times in ms. ${rate} renders a second, ${seconds} s each, on ${machine.cores} × ${machine.processor}, \
load ${machine.loadBefore.join(' ')} before.
Without hostile calls the event loop was held up for ${milliseconds(baseline)} ms at most.
Held up for ${DELAY_LIMIT_MS} ms or more: ${stalled.map(({ scenario }) => scenario).join(', ') || 'never'}.
Not run: ${notRun.map(({ scenario }) => scenario).join(', ') || 'none'}.
Written to ${file}.
`);
process.exitCode = stalled.length + notRun.length > 0 ? 1 : 0;
