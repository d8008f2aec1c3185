/**
 * How fast a range of receipts is replayed. See bench/README.md.
 */
import { randomUUIDv7 } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { replayRange } from '../src/audit/replay-range.ts';
import {
  compileBundle,
  hashesOf,
  placeholdersHash,
  RENDERER_VERSION,
  variablesHash,
  type CompiledBundle,
  type Message,
} from '../src/domain/assembly.ts';
import type { Document } from '../src/domain/document.ts';
import type { JsonObject } from '../src/domain/json.ts';
import { snapshotDocument } from '../src/domain/snapshot.ts';
import type { ReplayProgress } from '../src/services/trail-jobs.ts';
import type { JournaledReceipt } from '../src/services/trail.ts';
import { openDatabase, type Database } from '../src/storage/database.ts';
import { startEmbeddedPostgres } from '../src/storage/embedded-postgres.ts';
import { migrate } from '../src/storage/migrate.ts';
import { PostgresStores } from '../src/storage/postgres-stores.ts';
import { ReceiptChain } from '../src/storage/receipt-chain.ts';
import { declaration, snapshot } from '../test/support/drafts.ts';
import { ANY_RECEIPT } from '../test/support/storage/records.ts';
import { circumstances, writeResult } from './support/result-file.ts';

const LIMIT_PER_SECOND = 5_000;
/** Measured rounds; the middle one counts. One goes before, for the compiler and for the caches of the database. */
const ROUNDS = 5;
const BUNDLES = 20;
const PROMPT_BYTES = 4_096;
const NAMES = ['customer', 'brand', 'tone', 'language', 'plan', 'city', 'topic', 'agent'];
/** One render of so many has a history, and a policy that keeps it. */
const WITH_HISTORY = 4;
const STATEMENT_TIMEOUT_MS = 10_000;

const { values: options } = parseArgs({ options: { receipts: { type: 'string', default: '10000' } } });
const count = Number(options.receipts);

interface Round {
  readonly seconds: number;
  readonly replaysPerSecond: number;
  /** Of this thread, per replay. */
  readonly cpuUs: number;
}

/** A prompt of 4 KB with 8 variables and a history. */
function prompt(n: number): Document {
  const placeholders = NAMES.map((name) => `Mind the ${name}: {${name}}.`).join('\n');
  const sentence = ` Answer in plain words, and say so if you do not know (${n}).`;
  const content = placeholders.padEnd(PROMPT_BYTES, sentence);
  const section = { template: { templateId: 'prompt', version: '1.0.0' }, role: 'SYSTEM' as const };
  const variables = NAMES.map((name) => declaration({ name }));
  return snapshotDocument(
    snapshot({ sections: [section, { placeholder: 'history' }] }, { prompt: { content, variables } }),
  );
}

/** A render as a server records it. */
function render(bundle: CompiledBundle, n: number, time: Date): JournaledReceipt {
  const variables: JsonObject = Object.fromEntries(NAMES.map((name) => [name, `the ${name} of chat ${n}`]));
  const history: Message[] = [
    { role: 'USER', content: `The lamp of order ${n} arrived with a broken shade.` },
    { role: 'ASSISTANT', content: 'I am sorry to hear that. May I send you a new shade?' },
  ];
  const full = n % WITH_HISTORY === 0;
  const placeholders = new Map(full ? [['history', history]] : []);
  const assembled = bundle.assemble(bundle.variables.resolve({}, variables), placeholders);
  return {
    receipt: {
      renderId: randomUUIDv7(),
      time,
      durationUs: 90,
      requestedTenant: `brand-${n % 10}`,
      requestedBundleId: 'prompt',
      requestedVersion: '',
      requestedType: '',
      capturePolicy: full ? 'FULL' : 'VARIABLES',
      tenant: 'default',
      bundleId: 'prompt',
      version: `1.${n % BUNDLES}.0`,
      channel: 'production',
      revision: 1,
      seq: 1,
      source: 'INHERITED',
      ...hashesOf(assembled),
      bundleHash: bundle.bundleHash,
      personalityHash: bundle.personalityHash,
      constraintsHash: bundle.constraintsHash,
      variablesHash: variablesHash(variables),
      placeholdersHash: placeholdersHash(placeholders),
      rendererVersion: RENDERER_VERSION,
      caller: 'chat@platform.example',
      requestId: '',
      labels: { conversation: `c-${n}` },
      traceId: '',
    },
    inputs: { variables, ...(full && { placeholders: Object.fromEntries(placeholders) as unknown as JsonObject }) },
  };
}

async function fill(serverUrl: string, database: Database): Promise<void> {
  const documents = Array.from({ length: BUNDLES }, (_, n) => prompt(n));
  for (const { hash, text } of documents) {
    await database.access((em) => em.execute('insert into document (hash, content) values (?, ?)', [hash, text]));
  }
  const bundles = documents.map(compileBundle);
  const receipts = Array.from({ length: count }, (_, n) => render(bundles[n % BUNDLES]!, n, new Date()));
  const chain = new ReceiptChain({ url: serverUrl, statementTimeoutMs: STATEMENT_TIMEOUT_MS });
  for (let start = 0; start < count; start += 5_000) {
    for (const batch of chain.prepare(receipts.slice(start, start + 5_000))) await chain.append(batch);
  }
  await chain.close();
}

/** Replays all. @throws Error if any deviates */
async function measure(stores: PostgresStores): Promise<Round> {
  const start = performance.now();
  const cpu = process.threadCpuUsage();
  let last: ReplayProgress | undefined;
  for await (const progress of replayRange(stores, ANY_RECEIPT)) last = progress;
  const seconds = (performance.now() - start) / 1e3;
  const { user, system } = process.threadCpuUsage(cpu);
  if (last?.matched !== count) throw new Error(`only ${last?.matched} of ${count} match: ${JSON.stringify(last)}`);
  return { seconds, replaysPerSecond: count / seconds, cpuUs: (user + system) / count };
}

async function run(): Promise<Round[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'platen-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir, log: () => {} });
  try {
    await migrate(postgres.ownerUrl, postgres.serverUrl);
    const database = await openDatabase({
      url: postgres.serverUrl,
      poolMax: 2,
      poolWaitMs: STATEMENT_TIMEOUT_MS,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      onQuery: () => {},
    });
    await fill(postgres.serverUrl, database);
    const stores = new PostgresStores(database.access);
    await measure(stores);
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure(stores));
    await database.close();
    return rounds.toSorted((a, b) => a.replaysPerSecond - b.replaysPerSecond);
  } finally {
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

const { date, machine } = circumstances();
const rounds = await run();
const median = rounds[Math.floor(ROUNDS / 2)]!;
const file = await writeResult('replay', { date, machine, receipts: count, median, rounds });

const rate = (round: Round): string => Math.round(round.replaysPerSecond).toLocaleString('en');
process.stdout.write(`${count} receipts, all of which match
replays a second: ${rate(median)} (from ${rate(rounds[0]!)} to ${rate(rounds.at(-1)!)} in ${ROUNDS} rounds)
processor time of the thread per replay: ${median.cpuUs.toFixed(0)} µs

On ${machine.cores} × ${machine.processor}, load ${machine.loadBefore.join(' ')} before.
Written to ${file}.
`);
process.exitCode = median.replaysPerSecond < LIMIT_PER_SECOND ? 1 : 0;
