/**
 * How fast receipts get into the chain, and what they take there. See bench/README.md.
 */
import { parseArgs } from 'node:util';
import { Drainer, type DrainEvent, type DrainSource } from '../src/audit/drainer.ts';
import type { Reading } from '../src/audit/journal-reader.ts';
import { encodeLine } from '../src/audit/receipt-line.ts';
import { type PreparedBatch, ReceiptChain } from '../src/storage/receipt-chain.ts';
import type { Session } from '../src/storage/session.ts';
import { serverCpuSeconds, withOwnDatabase } from './support/own-database.ts';
import { syntheticReceipts } from './support/receipts.ts';
import { circumstances, writeResult } from './support/result-file.ts';

const LIMIT_PER_SECOND = 20_000;
/** Renders a second, of which is told what they take in a day. */
const RATES = [10, 100, 1_000];
const DAY_SECONDS = 86_400;
const DAY_MS = 86_400_000;
/** A drain that takes longer fails. */
const LONGEST_MS = 600_000;

const { values: options } = parseArgs({
  options: { receipts: { type: 'string', default: '500000' }, batch: { type: 'string', default: '5000' } },
});
const count = Number(options.receipts);
const batchSize = Number(options.batch);

/** Lines as in the journal, by batches; bytes, so that they are no burden to the collector of garbage. */
function journal(): Buffer[] {
  const now = Date.now();
  const batches: Buffer[] = [];
  let lines: string[] = [];
  for (const { receipt, inputs } of syntheticReceipts(count, new Date(now - (now % DAY_MS)), new Date(now))) {
    lines.push(encodeLine(receipt, JSON.stringify(inputs)));
    if (lines.length < batchSize) continue;
    batches.push(Buffer.from(lines.join('')));
    lines = [];
  }
  return lines.length === 0 ? batches : [...batches, Buffer.from(lines.join(''))];
}

/** A journal in memory, read by batches. */
class MemoryJournal implements DrainSource {
  readonly #batches: Iterator<Buffer>;
  #offset = 0;

  constructor(batches: readonly Buffer[]) {
    this.#batches = batches.values();
  }

  async backlog(): Promise<number> {
    return 0;
  }

  async read(): Promise<Reading | undefined> {
    const { value, done } = this.#batches.next();
    if (done) return undefined;
    const lines = value.toString().trimEnd().split('\n');
    this.#offset += lines.length;
    return { entries: lines.map((line) => ({ line })), end: { segment: 1, offset: this.#offset }, torn: 0 };
  }

  complete(): void {}

  async drained(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {}
}

/** @returns how many receipts were chained */
async function drain(chain: ReceiptChain, batches: readonly Buffer[]): Promise<number> {
  let chained = 0;
  const drainer = new Drainer({
    // It stays open, so that the processor time of its sessions can be told.
    chain: {
      prepare: (receipts) => chain.prepare(receipts),
      append: (batch: PreparedBatch) => chain.append(batch),
      ensurePartitions: () => chain.ensurePartitions(),
      close: async () => {},
    },
    setAside: async () => {},
    adopt: () => [],
    tell: (event: DrainEvent) => {
      if (event.kind === 'settled') chained += event.chained;
      else if ('reason' in event) process.stderr.write(`${event.kind}: ${event.reason}\n`);
    },
    now: () => performance.now(),
    random: Math.random,
  });
  drainer.own(new MemoryJournal(batches));
  const drained = drainer.run();
  drainer.stop(LONGEST_MS);
  await drained;
  return chained;
}

/** Bytes a receipt. */
interface Sizes {
  readonly heap: number;
  readonly indexes: Readonly<Record<string, number>>;
  readonly payload: number;
  readonly all: number;
}

async function sizes({ em }: Session): Promise<Sizes> {
  const [total] = await em.execute<{ heap: string; payload: string }[]>(
    `select (select sum(pg_table_size(relid)) from pg_partition_tree('receipt')) as heap,
      (select sum(pg_total_relation_size(relid)) from pg_partition_tree('receipt_payload')) as payload`,
  );
  const rows = await em.execute<{ name: string; bytes: string }[]>(
    `select pg_get_indexdef(i.indexrelid) as name, sum(pg_relation_size(t.relid)) as bytes
    from pg_index i, pg_partition_tree(i.indexrelid) t
    where i.indrelid = 'receipt'::regclass group by i.indexrelid`,
  );
  const each = (bytes: string): number => Number(bytes) / count;
  const keys = (definition: string): string => definition.replace(/^.* USING btree /, '');
  const indexes = Object.fromEntries(rows.map(({ name, bytes }) => [keys(name), each(bytes)]));
  const [heap, payload] = [each(total!.heap), each(total!.payload)];
  const all = Object.values(indexes).reduce((sum, bytes) => sum + bytes, heap + payload);
  return { heap, indexes, payload, all };
}

interface Result {
  readonly perSecond: number;
  readonly nodeCpuUs: number;
  readonly postgresCpuUs: number;
  readonly bytesPerReceipt: Sizes;
  readonly gibPerDay: Readonly<Record<string, number>>;
}

const { date, machine } = circumstances();

const result = await withOwnDatabase(async ({ serverUrl, session }): Promise<Result> => {
  const chain = new ReceiptChain({ url: serverUrl, statementTimeoutMs: 30_000 });
  await chain.ensurePartitions();
  const batches = journal();
  const before = { node: process.cpuUsage(), postgres: await serverCpuSeconds(session), time: performance.now() };
  const chained = await drain(chain, batches);
  const seconds = (performance.now() - before.time) / 1_000;
  const node = process.cpuUsage(before.node);
  const postgres = (await serverCpuSeconds(session)) - before.postgres;
  await chain.close();
  if (chained !== count) throw new Error(`${chained} receipts of ${count} were chained`);
  const bytesPerReceipt = await sizes(session);
  const gib = (rate: number): number => (rate * DAY_SECONDS * bytesPerReceipt.all) / 2 ** 30;
  return {
    perSecond: count / seconds,
    nodeCpuUs: (node.user + node.system) / count,
    postgresCpuUs: (postgres * 1e6) / count,
    bytesPerReceipt,
    gibPerDay: Object.fromEntries(RATES.map((rate) => [`${rate} renders/s`, gib(rate)])),
  };
});

const file = await writeResult('drain', { date, machine, receipts: count, batchSize, ...result });

const line = (what: string, value: number, digits = 0): string =>
  `${what.padEnd(92)}${value.toFixed(digits).padStart(8)}`;
const { bytesPerReceipt, gibPerDay } = result;
process.stdout.write(`${[
  line('receipts a second', result.perSecond),
  line('processor time of Node, a receipt: µs', result.nodeCpuUs, 1),
  line('processor time of PostgreSQL, a receipt: µs', result.postgresCpuUs, 1),
  line('bytes of a row', bytesPerReceipt.heap),
  ...Object.entries(bytesPerReceipt.indexes).map(([name, bytes]) => line(`bytes in the index ${name}`, bytes)),
  line('bytes of captured values, with their index', bytesPerReceipt.payload),
  line('bytes in all', bytesPerReceipt.all),
  ...Object.entries(gibPerDay).map(([rate, gib]) => line(`GiB a day at ${rate}`, gib, 1)),
].join('\n')}

${count} receipts in batches of ${batchSize}.
${machine.cores} × ${machine.processor}, load ${machine.loadBefore.join(' ')} before.
Written to ${file}.
`);
process.exitCode = result.perSecond < LIMIT_PER_SECOND ? 1 : 0;
