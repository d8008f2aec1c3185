/**
 * How fast receipts get into the chain, and what they take there. See bench/README.md.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { arch, cpus, loadavg, platform, release as systemRelease, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { decodeLine, encodeLine } from '../src/audit/receipt-line.ts';
import { ReceiptChain } from '../src/storage/receipt-chain.ts';
import type { Session } from '../src/storage/session.ts';
import { serverCpuSeconds, withOwnDatabase } from './support/own-database.ts';
import { syntheticReceipts } from './support/receipts.ts';

const LIMIT_PER_SECOND = 20_000;
/** Renders a second, of which is told what they take in a day. */
const RATES = [10, 100, 1_000];
const DAY_SECONDS = 86_400;
const DAY_MS = 86_400_000;
const RESULTS = join(import.meta.dirname, 'results');

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

/** As the drainer does: while one batch commits the next one is prepared. */
async function drain(chain: ReceiptChain, batches: readonly Buffer[]): Promise<number> {
  let chained = 0;
  let appended: Promise<void> = Promise.resolve();
  for (const bytes of batches) {
    const receipts = bytes.toString().split('\n').slice(0, -1).map((line) => decodeLine(line)!);
    const prepared = chain.prepare(receipts);
    await appended;
    appended = (async () => {
      for (const batch of prepared) chained += (await chain.append(batch)).chained;
    })();
  }
  await appended;
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

const machine = {
  processor: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  system: `${platform()} ${systemRelease()} ${arch()}`,
  node: process.version,
  loadBefore: loadavg().map((load) => Math.round(load * 100) / 100),
};
const date = new Date().toISOString();

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

await mkdir(RESULTS, { recursive: true });
const file = join(RESULTS, `drain-${date.slice(0, 19).replaceAll(':', '')}.json`);
await writeFile(file, `${JSON.stringify({ date, machine, receipts: count, batchSize, ...result }, undefined, 2)}\n`);

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
