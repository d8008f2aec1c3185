/**
 * How long a page of ListReceipts takes in a table of a million. See bench/README.md.
 */
import { parseArgs } from 'node:util';
import type { JournaledReceipt, ReceiptFilter } from '../src/services/trail.ts';
import { openDatabase } from '../src/storage/database.ts';
import { ReceiptChain } from '../src/storage/receipt-chain.ts';
import { firstIdAt } from '../src/storage/receipt-filter.ts';
import { PostgresReceiptStore } from '../src/storage/receipt-store.ts';
import { ANY_RECEIPT } from '../test/support/storage/records.ts';
import { withOwnDatabase } from './support/own-database.ts';
import {
  bundleHashOf,
  bundleIdOf,
  callerOf,
  labelsOf,
  personalityHashOf,
  requestIdOf,
  syntheticReceipts,
  tenantOf,
} from './support/receipts.ts';
import { circumstances, writeResult } from './support/result-file.ts';

const LIMIT_MS = 50;
const PAGES = [50, 1_000];
const BATCH = 5_000;
const DAY_MS = 86_400_000;

const { values: options } = parseArgs({
  options: { receipts: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '200' } },
});
const count = Number(options.receipts);
const rounds = Number(options.rounds);

/** All days that may have a partition but the last: from yesterday on. */
const start = new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS);
const end = new Date(start.getTime() + 8 * DAY_MS);
/** A tenth of all receipts come before. */
const deep = new Date(start.getTime() + (end.getTime() - start.getTime()) / 10);

/** What is asked in the n-th round, so that not always the same pages are read. */
interface Query {
  readonly name: string;
  readonly indexed: boolean;
  readonly filter: (n: number) => Partial<ReceiptFilter>;
}

/** The receipt that a round is about; odd, since only those have a request_id. */
const subject = (n: number): number => ((n * 104_729) % count) | 1;

const QUERIES: readonly Query[] = [
  { name: 'all', indexed: true, filter: () => ({}) },
  { name: 'tenant', indexed: true, filter: (n) => ({ tenant: tenantOf(subject(n)) }) },
  { name: 'bundle_hash', indexed: true, filter: (n) => ({ bundleHash: bundleHashOf(subject(n)) }) },
  { name: 'personality_hash', indexed: true, filter: (n) => ({ personalityHash: personalityHashOf(subject(n)) }) },
  { name: 'caller', indexed: true, filter: (n) => ({ caller: callerOf(subject(n)) }) },
  { name: 'request_id', indexed: true, filter: (n) => ({ requestId: requestIdOf(subject(n)) }) },
  { name: 'time range', indexed: true, filter: timeRange },
  { name: 'bundle_id', indexed: false, filter: (n) => ({ bundleId: bundleIdOf(subject(n)) }) },
  { name: 'bundle_id of nothing', indexed: false, filter: () => ({ bundleId: 'no-such-bundle' }) },
  { name: 'labels, frequent', indexed: false, filter: (n) => ({ labels: { app: labelsOf(subject(n))['app']! } }) },
  { name: 'labels, rare', indexed: false, filter: (n) => ({ labels: labelsOf(subject(n)) }) },
  {
    name: 'labels, rare, in an hour',
    indexed: false,
    filter: (n) => ({ labels: labelsOf(subject(n)), ...timeRange(n) }),
  },
];

/** An hour. */
function timeRange(n: number): Partial<ReceiptFilter> {
  const startTime = new Date(start.getTime() + ((subject(n) / count) * 0.9 * (end.getTime() - start.getTime())));
  return { startTime, endTime: new Date(startTime.getTime() + 3_600_000) };
}

interface Row {
  readonly query: string;
  readonly indexed: boolean;
  readonly page: string;
  readonly items: number;
  readonly p50: number;
  readonly p99: number;
}

async function load(url: string): Promise<number> {
  const chain = new ReceiptChain({ url, statementTimeoutMs: 60_000 });
  await chain.ensurePartitions();
  const begun = performance.now();
  let batch: JournaledReceipt[] = [];
  let appended: Promise<unknown> = Promise.resolve();
  const append = async (receipts: readonly JournaledReceipt[]): Promise<void> => {
    for (const each of chain.prepare(receipts)) await chain.append(each);
  };
  for (const receipt of syntheticReceipts(count, start, end)) {
    batch.push(receipt);
    if (batch.length < BATCH) continue;
    await appended;
    appended = append(batch);
    batch = [];
  }
  await appended;
  await append(batch);
  await chain.close();
  return (performance.now() - begun) / 1_000;
}

async function measure(store: PostgresReceiptStore, query: Query, limit: number, page: 'first' | 'deep'): Promise<Row> {
  const before = page === 'first' ? '' : firstIdAt(deep);
  // What reads the whole table is not worth the time of many rounds.
  const n = query.indexed ? rounds : Math.ceil(rounds / 10);
  const times: number[] = [];
  let items = 0;
  for (let round = 0; round < n; round += 1) {
    const filter = { ...ANY_RECEIPT, ...query.filter(round) };
    const begun = performance.now();
    items += (await store.list(filter, before, limit)).length;
    times.push(performance.now() - begun);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (quantile: number): number => sorted[Math.floor(quantile * (sorted.length - 1))]!;
  const what = { query: query.name, indexed: query.indexed, page: `${page}, ${limit}` };
  return { ...what, items: Math.round(items / n), p50: at(0.5), p99: at(0.99) };
}

const { date, machine } = circumstances();

const { loadSeconds, rows } = await withOwnDatabase(async ({ serverUrl, session }) => {
  const loadSeconds = await load(serverUrl);
  // As autovacuum does within minutes.
  await session.em.execute('vacuum analyze');
  const config = { poolMax: 1, poolWaitMs: 1_000, statementTimeoutMs: 60_000, onQuery: () => {} };
  const database = await openDatabase({ url: serverUrl, ...config });
  const store = new PostgresReceiptStore(database.access);
  const rows: Row[] = [];
  for (const query of QUERIES) {
    for (const limit of PAGES) {
      for (const page of ['first', 'deep'] as const) rows.push(await measure(store, query, limit, page));
    }
  }
  await database.close();
  return { loadSeconds, rows };
});

const file = await writeResult('list-receipts', { date, machine, receipts: count, loadSeconds, rows });

const late = rows.filter(({ indexed, p99 }) => indexed && p99 >= LIMIT_MS);
const where = late.map(({ query, page }) => `${query} (${page})`).join('; ') || 'nowhere';
const cells = (query: string, page: string, ...rest: readonly string[]): string =>
  [query.padEnd(26), page.padEnd(12), ...rest.map((cell) => cell.padStart(8))].join('  ');
process.stdout.write(`${[
  cells('filter', 'page', 'items', 'p50 ms', 'p99 ms'),
  ...rows.map((row) => cells(row.query, row.page, String(row.items), row.p50.toFixed(1), row.p99.toFixed(1))),
].join('\n')}

${count} receipts, loaded in ${loadSeconds.toFixed(0)} s.
${machine.cores} × ${machine.processor}, load ${machine.loadBefore.join(' ')} before.
p99 of ${LIMIT_MS} ms or more with an index: ${where}.
Written to ${file}.
`);
process.exitCode = late.length > 0 ? 1 : 0;
