/**
 * How soon a release is visible on every replica. See bench/README.md.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { PromptType, Role } from '../gen/platen/v1/resources_pb.js';
import { connect, type Clients, type Connection } from '../src/cli/client.ts';
import { startEmbeddedPostgres } from '../src/storage/embedded-postgres.ts';
import { migrate } from '../src/storage/migrate.ts';
import { PlatenProcess } from '../test/support/platen-process.ts';
import { histogramOf, type Histogram } from './support/histogram.ts';
import { circumstances, writeResult } from './support/result-file.ts';

const REPLICAS = 3;
/** Between two polls of a replica: without, polls would take all of the processor, and be what is measured. */
const POLL_MS = 1;
const BURST_WRITERS = 6;
const BURST_RELEASES = 5;
const BURST_PAUSE_MS = 100;
const LIMIT_MS = 50;
const TYPE = PromptType.GREETING;
const VERSIONS = ['1.0.0', '1.1.0'];
const METRIC = 'prompt_release_propagation_seconds';

const { values: options } = parseArgs({ options: { releases: { type: 'string', default: '1000' } } });
const releases = Number(options.releases);

/** A release that was answered. */
interface Answered {
  readonly seq: bigint;
  readonly at: number;
}

/** Milliseconds. */
interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** One `platen serve`, and when it was first seen to have which change. */
class Replica {
  readonly clients: Clients;
  readonly #process: PlatenProcess;
  readonly #connection: Connection;
  readonly #httpAddress: string;
  /** Ascending in both. */
  readonly #seen: Answered[] = [{ seq: 0n, at: 0 }];
  #polling: Promise<void> | undefined;
  #done = false;

  private constructor(process: PlatenProcess, grpc: string, http: string) {
    this.#process = process;
    this.#connection = connect(`http://${grpc}`);
    this.clients = this.#connection.clients;
    this.#httpAddress = http;
  }

  static async start(settings: Record<string, string>): Promise<Replica> {
    const process = new PlatenProcess(['serve'], settings);
    const { grpc, http } = await process.logged('listening');
    await process.logged('serving');
    return new Replica(process, grpc!, http!);
  }

  /** Renders again and again from now on. */
  poll(): void {
    this.#polling = this.#poll();
  }

  /** When it was first seen to have the change. */
  seen(seq: bigint): number {
    return this.#seen.find((each) => each.seq >= seq)!.at;
  }

  async reached(seq: bigint): Promise<void> {
    while (this.#seen.at(-1)!.seq < seq) await sleep(1);
  }

  async histogram(): Promise<Histogram> {
    return histogramOf(await (await fetch(`http://${this.#httpAddress}/metrics`)).text(), METRIC);
  }

  async stop(): Promise<void> {
    this.#done = true;
    await this.#polling;
    this.#connection.close();
    await this.#process.end();
  }

  async #poll(): Promise<void> {
    while (!this.#done) {
      const { seq } = await this.clients.renders.render({ target: { case: 'type', value: TYPE } });
      if (seq > this.#seen.at(-1)!.seq) this.#seen.push({ seq, at: performance.now() });
      await sleep(POLL_MS);
    }
  }
}

/** A bundle for each writer, and one that is polled. */
async function createBundles({ templates, bundles }: Clients): Promise<string[]> {
  await templates.createTemplate({ templateId: 'greeting', type: TYPE, draft: { content: 'Good morning.' } });
  await templates.publishTemplate({ templateId: 'greeting', version: '1.0.0', editVersion: 1 });
  const value = { template: { templateId: 'greeting', version: '1.0.0' }, role: Role.SYSTEM };
  const draft = { sections: [{ part: { case: 'template' as const, value } }] };
  const ids = Array.from({ length: BURST_WRITERS }, (_, n) => `greeting-${n}`);
  for (const bundleId of ids) {
    await bundles.createBundle({ bundleId, type: TYPE, draft });
    for (const version of VERSIONS) {
      await bundles.publishBundle({ bundleId, version, editVersion: 1, channel: 'production' });
    }
  }
  await bundles.activateBundle({ type: TYPE, bundleId: ids[0]! });
  return ids;
}

async function release({ clients }: Replica, bundleId: string, round: number): Promise<Answered> {
  const target = { case: 'version' as const, value: VERSIONS[round % VERSIONS.length]! };
  const { seq } = await clients.bundles.releaseBundle({ bundleId, target });
  return { seq, at: performance.now() };
}

/** Each when the one before is visible everywhere; by every replica in turn. */
async function oneByOne(replicas: readonly Replica[], bundleId: string): Promise<Answered[]> {
  const answered: Answered[] = [];
  for (let n = 0; n < releases; n += 1) {
    const one = await release(replicas[n % REPLICAS]!, bundleId, n);
    answered.push(one);
    await Promise.all(replicas.map((replica) => replica.reached(one.seq)));
  }
  return answered;
}

/** Several writers at once, on all replicas; every now and then all pause. */
async function inBursts(replicas: readonly Replica[], bundleIds: readonly string[]): Promise<Answered[]> {
  const answered: Answered[] = [];
  while (answered.length < releases) {
    const burst = bundleIds.map(async (bundleId, writer) => {
      for (let n = 0; n < BURST_RELEASES; n += 1) {
        answered.push(await release(replicas[writer % REPLICAS]!, bundleId, n));
      }
    });
    await Promise.all(burst);
    await sleep(BURST_PAUSE_MS);
  }
  return answered;
}

function spread(delays: readonly number[]): Spread {
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (quantile: number): number => sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]!;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1)! };
}

function spreadOf(histogram: Histogram): Spread {
  const at = (quantile: number): number => 1_000 * histogram.quantile(quantile);
  return { count: histogram.count, p50: at(0.5), p99: at(0.99), max: at(1) };
}

interface Row extends Spread {
  readonly what: string;
}

async function measure(
  name: string,
  replicas: readonly Replica[],
  write: () => Promise<readonly Answered[]>,
): Promise<Row[]> {
  const before = await Promise.all(replicas.map((replica) => replica.histogram()));
  const answered = await write();
  const last = answered.reduce((head, { seq }) => (seq > head ? seq : head), 0n);
  await Promise.all(replicas.map((replica) => replica.reached(last)));
  const delays = replicas.map((replica) => answered.map(({ seq, at }) => Math.max(0, replica.seen(seq) - at)));
  const after = await Promise.all(replicas.map((replica) => replica.histogram()));
  const own = after.map((histogram, n) => histogram.minus(before[n]!));
  return [
    ...delays.map((each, n) => ({ what: `${name}, answer to render on replica ${n}`, ...spread(each) })),
    { what: `${name}, answer to render on any`, ...spread(delays.flat()) },
    ...own.map((each, n) => ({ what: `${name}, commit to applied by replica ${n}`, ...spreadOf(each) })),
    { what: `${name}, commit to applied by any`, ...spreadOf(own.reduce((all, each) => all.plus(each))) },
  ];
}

function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ what }) => what.length));
  const line = (what: string, ...cells: readonly string[]): string =>
    [what.padEnd(width), ...cells.map((cell) => cell.padStart(8))].join('  ');
  const cells = ({ count, p50, p99, max }: Row) => [String(count), ...[p50, p99, max].map((each) => each.toFixed(1))];
  return [line('ms', 'releases', 'p50', 'p99', 'max'), ...rows.map((row) => line(row.what, ...cells(row)))].join('\n');
}

async function runAll(): Promise<Row[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'platen-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir, log: () => {} });
  const replicas: Replica[] = [];
  try {
    await migrate(postgres.ownerUrl, postgres.serverUrl);
    const settings = { PLATEN_DATABASE_URL: postgres.serverUrl, PLATEN_DATABASE_OWNER_URL: postgres.ownerUrl };
    for (let n = 0; n < REPLICAS; n += 1) replicas.push(await Replica.start(settings));
    const bundleIds = await createBundles(replicas[0]!.clients);
    for (const replica of replicas) replica.poll();
    return [
      ...(await measure('one by one', replicas, () => oneByOne(replicas, bundleIds[0]!))),
      ...(await measure('in bursts', replicas, () => inBursts(replicas, bundleIds))),
    ];
  } finally {
    await Promise.all(replicas.map((replica) => replica.stop()));
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

const { date, machine } = circumstances();
const rows = await runAll();
const file = await writeResult('propagation', { date, machine, releases, rows });

const late = rows.filter(({ p99 }) => p99 > LIMIT_MS);
process.stdout.write(`${table(rows)}

${REPLICAS} replicas on ${machine.cores} × ${machine.processor}, load ${machine.loadBefore.join(' ')} before.
p99 above ${LIMIT_MS} ms: ${late.map(({ what }) => what).join('; ') || 'nowhere'}.
Written to ${file}.
`);
process.exitCode = late.length > 0 ? 1 : 0;
