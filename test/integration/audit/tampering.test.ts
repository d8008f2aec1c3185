import assert from 'node:assert/strict';
import { CHAIN_ORIGIN, batchHash, batchRoot, changeHash, receiptHash } from '../../../src/audit/hash-chain.ts';
import { verifyTrail } from '../../../src/audit/verification.ts';
import { bundleDocument } from '../../../src/domain/bundle.ts';
import { documentOf } from '../../../src/domain/document.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import type {
  AuditFinding,
  AuditHeads,
  VerificationProgress,
  VerificationResult,
} from '../../../src/services/trail-jobs.ts';
import type { CapturedInputs, ReceiptRecord } from '../../../src/services/trail.ts';
import { ReceiptChain } from '../../../src/storage/receipt-chain.ts';
import { openSession, type Session } from '../../../src/storage/session.ts';
import { PostgresTrailReader } from '../../../src/storage/trail-reader.ts';
import { Authors } from '../../support/audit/authors.ts';
import { bundle } from '../../support/drafts.ts';
import { changeEntry, draftRecord, receiptRecord } from '../../support/storage/records.ts';
import { openRegistry, type Registry } from '../../support/storage/registry.ts';

const DAY = 86_400_000;
/** So small that every chain of the tests has many pages. */
const PAGE_ROWS = 4;
const TEMPLATES = 20;
const INPUTS: CapturedInputs = { variables: { customer: 'Ada' } };

const noon = new Date(Math.floor(Date.now() / DAY) * DAY + DAY / 2);
const yesterday = new Date(noon.getTime() - DAY);
const lastYear = new Date(noon.getTime() - 365 * DAY);

/** Receipts by batch; those of last year are strays. */
const batches = [
  receipts(noon, 5),
  receipts(noon, 3),
  receipts(yesterday, 3),
  receipts(lastYear, 3),
  receipts(noon, 2),
  receipts(lastYear, 1),
];
const RECEIPTS = batches.flat().length;

/** The changes after those that make templates, in their order. */
const STORY = [
  'hello is made',
  'hello is published',
  'welcome is made',
  'welcome is published',
  'welcome is released',
  'welcome is activated',
  'welcome is edited',
  'welcome is published again',
  'welcome is released again',
  'welcome is rolled back',
  'welcome is released on staging',
  'staging is withdrawn',
  'acme is made',
  'acme is edited',
  'a template is archived',
] as const;
const CHANGES = TEMPLATES + 1 + STORY.length;

function seqOf(change: (typeof STORY)[number]): number {
  return TEMPLATES + 2 + STORY.indexOf(change);
}

let registry: Registry;
/** A superuser's, who takes back all that was done once it is verified. */
let owner: Session;

function receipts(time: Date, count: number): ReceiptRecord[] {
  return Array.from({ length: count }, () => receiptRecord(time));
}

function receipt(batch: number, position: number): ReceiptRecord {
  return batches[batch - 1]![position]!;
}

function id(batch: number, position: number): string {
  return `'${receipt(batch, position).renderId}'::uuid`;
}

function draft(n: number): ReturnType<typeof draftRecord> {
  return draftRecord(`template-${n}`);
}

async function fill(): Promise<void> {
  for (let n = 2; n < TEMPLATES + 2; n += 1) {
    await registry.write(async (tx) => {
      await tx.putDocument(draft(n).draft);
      await tx.insertTemplate(draft(n));
      const detail = { type: 'GREETING', edit_version: 1 };
      await tx.appendChange(changeEntry({ entityId: draft(n).id, afterHash: draft(n).draft.hash, detail }));
    });
  }
  await tell();
  const chain = new ReceiptChain({ url: registry.test.serverUrl, statementTimeoutMs: 10_000 });
  for (const batch of batches) {
    const prepared = chain.prepare(batch.map((record) => ({ receipt: record, inputs: INPUTS })));
    for (const each of prepared) await chain.append(each);
  }
  await chain.close();
}

/** Writes what the server would have written. */
async function tell(): Promise<void> {
  const authors = new Authors(registry);
  await authors.createTemplate('default', 'hello');
  await authors.publishTemplate('default', 'hello', '1.0.0', 1);
  await authors.createBundle('default', 'welcome');
  await authors.publishBundle('default', 'welcome', '1.0.0', 1, 'production');
  await authors.updateBundle('default', 'welcome', 'better', 1);
  await authors.publishBundle('default', 'welcome', '1.1.0', 2);
  await authors.release('default', 'welcome', 'production', '1.1.0');
  await authors.rollback('default', 'welcome', 'production');
  await authors.release('default', 'welcome', 'staging', '1.0.0');
  await authors.release('default', 'welcome', 'staging', undefined);
  await authors.createTenant('acme', { brand: 'Acme' });
  await authors.updateTenant('acme', { brand: 'ACME' }, 1);
  assert.equal(await authors.archiveTemplate('default', 'template-3', 1), CHANGES);
}

/** Reads in the superuser's transaction. */
function reader(): PostgresTrailReader {
  return new PostgresTrailReader((statements) => statements(owner.em), PAGE_ROWS);
}

async function verify(checkpoint?: AuditHeads): Promise<{ findings: AuditFinding[]; result: VerificationResult }> {
  const told: VerificationProgress[] = [];
  for await (const progress of verifyTrail(reader(), checkpoint)) told.push(progress);
  const result = told.at(-1)!.result!;
  const findings = told.flatMap(({ finding }) => finding ?? []);
  assert.equal(result.intact, findings.length === 0);
  assert.equal(result.heads === undefined, findings.length > 0);
  return { findings, result };
}

async function run(sql: string, parameters: readonly unknown[] = []): Promise<void> {
  await owner.em.execute(sql, [...parameters]);
}

function pick(found: AuditFinding): Partial<AuditFinding> {
  const { part, problem, seq, batch, renderId, documentHash } = found;
  const named = Object.entries({ seq, batch, renderId, documentHash }).filter(([, value]) => value);
  return { part, problem, ...Object.fromEntries(named) };
}

async function heads(): Promise<AuditHeads> {
  const { changes, batches } = await reader().heads();
  return { changeSeq: changes!.number, changeHash: changes!.hash, batch: batches!.number, batchHash: batches!.hash };
}

/** Computes all of the changes' chain anew, from this one on. */
async function rechainChanges(from: number): Promise<void> {
  let [previous] = from > 1 ? await reader().changes(from - 2, from - 1) : [];
  for (;;) {
    const [change] = await reader().changes(previous?.seq ?? 0, CHANGES);
    if (change === undefined) break;
    const prevHash = previous?.chainHash ?? CHAIN_ORIGIN;
    const chainHash = changeHash({ ...change, detail: JSON.parse(change.detail) as JsonObject }, prevHash);
    await run('update change set prev_hash = ?, chain_hash = ? where seq = ?', [prevHash, chainHash, change.seq]);
    previous = { ...change, prevHash, chainHash };
  }
  await run('update change_head set seq = ?, chain_hash = ?', [previous!.seq, previous!.chainHash]);
}

/** Computes all hashes of receipts and batches anew. */
async function rechainReceipts(): Promise<void> {
  let prev = CHAIN_ORIGIN;
  for (let number = 1; ; number += 1) {
    const [batch] = await reader().batches(number - 1, number);
    if (batch === undefined) break;
    const hashes: string[] = [];
    const range = { first: number, last: number, firstDay: batch.day, lastDay: batch.day };
    for (let page = await reader().receipts(range, undefined); page.length > 0; ) {
      for (const row of page) {
        const hash = receiptHash({ ...row, labels: JSON.parse(row.labels) as Record<string, string> });
        const sql = `set receipt_hash = decode(?, 'hex') where render_id = ?`;
        await run(`update receipt ${sql}`, [hash, row.renderId]);
        await run(`update receipt_stray ${sql}`, [hash, row.renderId]);
        hashes.push(hash);
      }
      page = await reader().receipts(range, page.at(-1));
    }
    const link = { ...batch, count: hashes.length, root: batchRoot(hashes) };
    const chainHash = batchHash(link, prev);
    const sql = 'update receipt_batch set count = ?, root = ?, prev_hash = ?, chain_hash = ? where batch = ?';
    await run(sql, [link.count, link.root, prev, chainHash, number]);
    prev = chainHash;
  }
  await run('update receipt_head set chain_hash = ?', [prev]);
}

const DOCUMENT = documentOf({ type: 'GREETING', content: 'template-7' }).hash;
/** The draft that is published first. */
const PUBLISHED = bundleDocument('GREETING', bundle()).hash;

interface Tampering {
  readonly title: string;
  readonly sql: string;
  readonly found: Partial<AuditFinding>[];
}

/** Swaps the contents of two rows, with everything but their places. */
function swap(table: string, key: string, a: number | string, b: number | string, columns: string): string {
  const names = columns.split(', ');
  const other = names.map((name) => `other.${name}`).join(', ');
  return `update ${table} row set (${columns}) = (select ${other} from ${table} other
    where other.${key} = case row.${key} when ${a} then ${b} else ${a} end) where row.${key} in (${a}, ${b})`;
}

const CONTENT_OF_CHANGE =
  'time, actor, action, tenant, entity_kind, entity_id, before_hash, after_hash, detail, request_id, trace_id';
const CHAINED_CHANGE = `${CONTENT_OF_CHANGE}, prev_hash, chain_hash`;
const CONTENT_OF_BATCH = 'day, count, root, prev_hash, chain_hash, time';

const found = {
  change: (problem: AuditFinding['problem'], seq: number) => [{ part: 'CHANGES' as const, problem, seq }],
  batch: (problem: AuditFinding['problem'], batch: number) => [{ part: 'RECEIPTS' as const, problem, batch }],
  receipt: (problem: AuditFinding['problem'], batch: number, { renderId }: ReceiptRecord) => [
    { part: 'RECEIPTS' as const, problem, batch, renderId },
  ],
};

const stranger = receiptRecord(noon);
const farStranger = receiptRecord(new Date(noon.getTime() + 1_000 * DAY));

function insertReceipt(batch: number, position: number, record = stranger, table = 'receipt'): string {
  return `insert into ${table} select (jsonb_populate_record(r, jsonb_build_object('render_id', '${record.renderId}',
    'batch', ${batch}, 'batch_pos', ${position},
    'receipt_hash', '\\x${receiptHash({ ...receipt(1, 0), renderId: record.renderId })}'))).*
    from receipt r where render_id = ${id(1, 0)}`;
}

const TABLE: readonly Tampering[] = [
  {
    title: 'a changed document',
    sql: `update document set content = replace(content, 'template', 'temp1ate') where hash = '${DOCUMENT}'`,
    found: [{ part: 'DOCUMENTS', problem: 'ALTERED', documentHash: DOCUMENT }],
  },
  {
    title: 'a document that is missing after a change',
    sql: `delete from document where hash = '${DOCUMENT}'`,
    found: [{ part: 'DOCUMENTS', problem: 'MISSING', seq: 7, documentHash: DOCUMENT }],
  },
  {
    title: 'a published draft that is missing',
    sql: `delete from document where hash = '${PUBLISHED}';
      update change set before_hash = '', after_hash = '' where '${PUBLISHED}' in (before_hash, after_hash)`,
    found: [
      { part: 'DOCUMENTS', problem: 'MISSING', seq: seqOf('welcome is published'), documentHash: PUBLISHED },
      ...found.change('ALTERED', seqOf('welcome is made')),
    ],
  },
  ...CONTENT_OF_CHANGE.split(', ').map((column) => ({
    title: `another ${column} of a change`,
    sql: `update change set ${column} = ${
      { time: `time + interval '1 ms'`, before_hash: `repeat('a', 64)`, detail: `'{"edit_version":2}'` }[column] ??
      `'${column === 'after_hash' ? DOCUMENT : 'other'}'`
    } where seq = 17`,
    found: [
      ...(column === 'before_hash'
        ? [{ part: 'DOCUMENTS' as const, problem: 'MISSING' as const, seq: 17, documentHash: 'a'.repeat(64) }]
        : []),
      ...found.change('ALTERED', 17),
    ],
  })),
  {
    title: 'a time of a change that is no time',
    sql: `update change set time = 'infinity' where seq = 17`,
    found: found.change('ALTERED', 17),
  },
  {
    title: 'a detail that says the same in other words',
    sql: `update change set detail = '{"edit_version": 1}' where seq = 17`,
    found: found.change('ALTERED', 17),
  },
  {
    title: 'a detail that is no JSON',
    sql: `update change set detail = '{' where seq = 17`,
    found: found.change('ALTERED', 17),
  },
  {
    title: 'another link of a change',
    sql: `update change set prev_hash = repeat('a', 64) where seq = 17`,
    found: found.change('BROKEN_LINK', 17),
  },
  {
    title: 'another hash of a change',
    sql: `update change set chain_hash = repeat('a', 64) where seq = 17`,
    found: found.change('ALTERED', 17),
  },
  { title: 'a deleted change', sql: 'delete from change where seq = 17', found: found.change('MISSING', 17) },
  {
    title: 'a deleted change whose gap was closed',
    sql: `delete from change where seq = 17; update change set seq = -seq + 1 where seq > 17;
      update change set seq = -seq where seq < 0; update change_head set seq = seq - 1`,
    found: found.change('BROKEN_LINK', 17),
  },
  {
    title: 'an inserted change for which the others made place',
    sql: `update change set seq = -seq - 1 where seq >= 17; update change set seq = -seq where seq < 0;
      insert into change select 17, ${CHAINED_CHANGE} from change where seq = 16; update change_head set seq = seq + 1`,
    found: found.change('BROKEN_LINK', 17),
  },
  {
    title: 'changes in another order',
    sql: `update change set seq = -seq where seq in (17, 18, 19);
      update change set seq = case seq when -17 then 18 when -18 then 19 else 17 end where seq < 0`,
    found: found.change('BROKEN_LINK', 17),
  },
  {
    title: 'two swapped changes',
    sql: swap('change', 'seq', 9, 17, CHAINED_CHANGE),
    found: found.change('BROKEN_LINK', 9),
  },
  {
    title: 'two swapped contents of changes',
    sql: swap('change', 'seq', 9, 17, CONTENT_OF_CHANGE),
    found: found.change('ALTERED', 9),
  },
  {
    title: 'a change behind the head',
    sql: `insert into change select seq + 1, ${CHAINED_CHANGE} from change where seq = ${CHANGES}`,
    found: found.change('UNEXPECTED', CHANGES + 1),
  },
  {
    title: 'a change before the first one',
    sql: `insert into change select 0, ${CHAINED_CHANGE} from change where seq = 1`,
    // Nothing is at seq 0 but the origin, so the place says nothing.
    found: [{ part: 'CHANGES', problem: 'UNEXPECTED' }],
  },
  {
    title: 'a tail of changes that was cut off, but not from the head',
    sql: `delete from change where seq = ${CHANGES}`,
    found: found.change('MISSING', CHANGES),
  },
  {
    title: 'a head of the changes with another hash',
    sql: `update change_head set chain_hash = repeat('a', 64)`,
    found: found.change('BROKEN_LINK', CHANGES),
  },
  {
    title: 'a head of the changes that stands before the last one',
    sql: `update change_head set (seq, chain_hash) = (select seq, chain_hash from change where seq = 17)`,
    found: found.change('UNEXPECTED', 18),
  },
  { title: 'no head of the changes', sql: 'delete from change_head', found: [{ part: 'CHANGES', problem: 'MISSING' }] },
  ...['duration_us', 'revision', 'seq', 'renderer_version'].map((column) => ({
    title: `another ${column} of a receipt`,
    sql: `update receipt set ${column} = ${column} + 1 where render_id = ${id(2, 1)}`,
    found: found.receipt('ALTERED', 2, receipt(2, 1)),
  })),
  ...[
    'requested_tenant',
    'requested_bundle_id',
    'requested_version',
    'requested_type',
    'capture_policy',
    'tenant',
    'bundle_id',
    'version',
    'channel',
    'source',
    'caller',
    'request_id',
    'labels',
    'trace_id',
  ].map((column) => ({
    title: `another ${column} of a receipt`,
    sql: `update receipt set ${column} = '{"other":"x"}' where render_id = ${id(2, 1)}`,
    found: found.receipt('ALTERED', 2, receipt(2, 1)),
  })),
  ...['rendered', 'bundle', 'personality', 'constraints', 'variables', 'placeholders', 'messages', 'receipt'].map(
    (column) => ({
      title: `another ${column}_hash of a receipt`,
      sql: `update receipt set ${column}_hash = sha256('other') where render_id = ${id(2, 1)}`,
      found: found.receipt('ALTERED', 2, receipt(2, 1)),
    }),
  ),
  {
    title: 'another time of a receipt',
    sql: `update receipt set time = time + interval '1 ms' where render_id = ${id(2, 1)}`,
    found: found.receipt('ALTERED', 2, receipt(2, 1)),
  },
  {
    title: 'labels that say the same in other words',
    sql: `update receipt set labels = labels || ' ' where render_id = ${id(2, 1)}`,
    found: found.receipt('ALTERED', 2, receipt(2, 1)),
  },
  {
    title: 'another render_id of a receipt',
    sql: `update receipt set render_id = '${stranger.renderId}' where render_id = ${id(2, 1)}`,
    found: found.receipt('ALTERED', 2, stranger),
  },
  {
    title: 'a changed receipt among the strays',
    sql: `update receipt_stray set caller = 'other' where render_id = ${id(4, 0)}`,
    found: found.receipt('ALTERED', 4, receipt(4, 0)),
  },
  {
    title: 'a receipt that was changed with its own hash',
    sql: `update receipt set seq = 8, receipt_hash = '\\x${receiptHash({ ...receipt(2, 1), seq: 8 })}'
      where render_id = ${id(2, 1)}`,
    found: found.batch('ALTERED', 2),
  },
  {
    title: 'a deleted receipt',
    sql: `delete from receipt where render_id = ${id(1, 4)}`,
    found: found.batch('MISSING', 1),
  },
  {
    title: 'deleted receipts of a batch',
    sql: `delete from receipt where batch = 2`,
    found: found.batch('MISSING', 2),
  },
  {
    title: 'a deleted receipt among the strays',
    sql: `delete from receipt_stray where render_id = ${id(6, 0)}`,
    found: found.batch('MISSING', 6),
  },
  { title: 'an inserted receipt', sql: insertReceipt(2, 1), found: found.batch('UNEXPECTED', 2) },
  {
    title: 'an inserted receipt in place of another',
    sql: `delete from receipt where render_id = ${id(2, 1)}; ${insertReceipt(2, 1)}`,
    found: found.batch('ALTERED', 2),
  },
  {
    title: 'an inserted receipt that is of another day than its batch',
    sql: insertReceipt(3, 9),
    found: found.receipt('UNEXPECTED', 3, stranger),
  },
  {
    title: 'an inserted receipt of a day of which there is no other',
    sql: insertReceipt(3, 9, farStranger, 'receipt_stray'),
    found: found.receipt('UNEXPECTED', 3, farStranger),
  },
  {
    title: 'an inserted receipt behind the head',
    sql: insertReceipt(batches.length + 1, 0),
    found: found.receipt('UNEXPECTED', batches.length + 1, stranger),
  },
  {
    title: 'an inserted receipt before the first batch',
    sql: insertReceipt(0, 0),
    found: [{ part: 'RECEIPTS', problem: 'UNEXPECTED', renderId: stranger.renderId }],
  },
  {
    title: 'a stray behind the head',
    sql: `update receipt_stray set batch = 9 where render_id = ${id(6, 0)}; delete from receipt_batch where batch = 6;
      update receipt_head set (batch, chain_hash) = (select batch, chain_hash from receipt_batch where batch = 5)`,
    found: found.receipt('UNEXPECTED', 9, receipt(6, 0)),
  },
  {
    title: 'a receipt that was copied to the strays',
    sql: `insert into receipt_stray select * from receipt where render_id = ${id(1, 3)}`,
    found: found.batch('UNEXPECTED', 1),
  },
  {
    title: 'two swapped receipts of a batch',
    sql: swap('receipt', 'render_id', id(1, 1), id(1, 3), 'batch_pos'),
    found: found.batch('ALTERED', 1),
  },
  {
    title: 'two swapped receipts of two batches of one day',
    sql: swap('receipt', 'render_id', id(1, 1), id(2, 1), 'batch, batch_pos'),
    found: found.batch('ALTERED', 1),
  },
  {
    title: 'two swapped receipts of two days',
    sql: swap('receipt', 'render_id', id(2, 1), id(3, 1), 'batch, batch_pos'),
    found: found.receipt('UNEXPECTED', 2, receipt(3, 1)),
  },
  {
    title: 'a receipt that was moved to a later batch',
    sql: `update receipt set batch = 5, batch_pos = 9 where render_id = ${id(2, 2)}`,
    found: found.batch('MISSING', 2),
  },
  {
    title: 'a receipt that was moved to an earlier batch',
    sql: `update receipt set batch = 1, batch_pos = 9 where render_id = ${id(2, 2)}`,
    found: found.batch('UNEXPECTED', 1),
  },
  ...CONTENT_OF_BATCH.split(', ').map((column) => ({
    title: `another ${column} of a batch`,
    sql: `update receipt_batch set ${column} = ${
      { day: 'day + 1', count: 'count + 1', time: `time + interval '1 ms'` }[column] ?? `repeat('a', 64)`
    } where batch = 2`,
    found: found.batch(column === 'prev_hash' ? 'BROKEN_LINK' : 'ALTERED', 2),
  })),
  { title: 'a deleted batch', sql: 'delete from receipt_batch where batch = 2', found: found.batch('MISSING', 2) },
  {
    title: 'a deleted batch with its receipts, whose gap was closed',
    sql: `delete from receipt where batch = 2; delete from receipt_batch where batch = 2;
      update receipt_batch set batch = batch - 1 where batch > 2; update receipt_head set batch = batch - 1;
      update receipt set batch = batch - 1 where batch > 2; update receipt_stray set batch = batch - 1 where batch > 2`,
    found: found.batch('BROKEN_LINK', 2),
  },
  {
    title: 'an inserted batch behind the head',
    sql: `insert into receipt_batch select 7, ${CONTENT_OF_BATCH} from receipt_batch where batch = 6`,
    found: found.batch('UNEXPECTED', 7),
  },
  {
    title: 'an inserted batch before the first one',
    sql: `insert into receipt_batch (batch, ${CONTENT_OF_BATCH}) select -1, ${CONTENT_OF_BATCH} from receipt_batch
      where batch = 6`,
    found: found.batch('UNEXPECTED', -1),
  },
  {
    title: 'two swapped batches',
    sql: swap('receipt_batch', 'batch', 1, 2, CONTENT_OF_BATCH),
    found: found.batch('BROKEN_LINK', 1),
  },
  {
    title: 'a head of the receipts with another hash',
    sql: `update receipt_head set chain_hash = repeat('a', 64)`,
    found: found.batch('BROKEN_LINK', 6),
  },
  {
    title: 'a tail of batches that was cut off, but not from the head',
    sql: 'delete from receipt_batch where batch = 6',
    found: found.batch('MISSING', 6),
  },
  {
    title: 'no head of the receipts',
    sql: 'delete from receipt_head',
    found: [{ part: 'RECEIPTS', problem: 'MISSING' }],
  },
  {
    title: 'the first of each part, whatever else was done',
    sql: `delete from document where hash = '${DOCUMENT}'; delete from change where seq in (9, 17);
      delete from receipt_batch where batch in (2, 5)`,
    found: [
      { part: 'DOCUMENTS', problem: 'MISSING', seq: 7, documentHash: DOCUMENT },
      ...found.change('MISSING', 9),
      ...found.batch('MISSING', 2),
    ],
  },
];

/** Alterations of what is served, with the change that says otherwise. */
const SERVED: readonly (readonly [title: string, sql: string, problem: AuditFinding['problem'], seq: number])[] = [
  [
    'a channel that was moved to another revision',
    `update channel set revision = 2 where channel = 'production'`,
    'ALTERED',
    seqOf('welcome is rolled back'),
  ],
  [
    'a channel that was put back in service',
    `update channel set revision = 1 where channel = 'staging'`,
    'ALTERED',
    seqOf('staging is withdrawn'),
  ],
  [
    'a channel that was removed',
    `delete from channel where channel = 'production'`,
    'MISSING',
    seqOf('welcome is rolled back'),
  ],
  ['a channel that nothing was released on', `insert into channel values ('acme', 'trip', 'beta', 1)`, 'UNEXPECTED', 0],
  [
    'other targets of a release',
    `update release set targets = replace(targets, '1.0.0', '1.1.0') where revision = 3`,
    'ALTERED',
    seqOf('welcome is rolled back'),
  ],
  [
    'targets of a release that are the same in other words',
    `update release set targets = targets || ' ' where revision = 3`,
    'ALTERED',
    seqOf('welcome is rolled back'),
  ],
  ...['kind', 'origin_revision', 'seq', 'create_actor'].map(
    (column) =>
      [
        `another ${column} of a release`,
        `update release set ${column} = '9' where channel = 'staging' and revision = 1`,
        'ALTERED',
        seqOf('welcome is released on staging'),
      ] as const,
  ),
  [
    'a release that was removed',
    `delete from release where channel = 'production' and revision = 1`,
    'MISSING',
    seqOf('welcome is released'),
  ],
  [
    'a release that nobody made',
    `insert into release (tenant, bundle_id, channel, revision, kind, targets, origin_revision, seq, create_time,
       create_actor)
     select tenant, bundle_id, channel, 4, kind, targets, origin_revision, seq, create_time, create_actor
     from release where channel = 'production' and revision = 3`,
    'UNEXPECTED',
    0,
  ],
  [
    'another bundle of an activation',
    `update activation set bundle_id = 'trip'`,
    'ALTERED',
    seqOf('welcome is activated'),
  ],
  ['another revision of an activation', `update activation set revision = 2`, 'ALTERED', seqOf('welcome is activated')],
  ['an activation that was removed', `delete from activation`, 'MISSING', seqOf('welcome is activated')],
  [
    'an activation that nobody made',
    `insert into activation select 'acme', type, bundle_id, revision, seq, update_time, update_actor from activation`,
    'UNEXPECTED',
    0,
  ],
  ...Object.entries({
    parent: `'evil'`,
    display_name: `'other'`,
    variables: `'{"brand":"Evil"}'`,
    capture_policy: `'FULL'`,
    receipt_retention_days: '7',
    edit_version: '3',
    document_hash: `(select document_hash from tenant where tenant = 'default')`,
  }).map(
    ([column, value]) =>
      [
        `another ${column} of a tenant`,
        `update tenant set ${column} = ${value} where tenant = 'acme'`,
        'ALTERED',
        seqOf('acme is edited'),
      ] as const,
  ),
  ...['[]', '{"brand":"ACME"', 'null'].map(
    (variables) =>
      [
        `variables of a tenant that are ${variables}`,
        `update tenant set variables = '${variables}' where tenant = 'acme'`,
        'ALTERED',
        seqOf('acme is edited'),
      ] as const,
  ),
  [
    'variables of a tenant that are none, where there are none',
    `update tenant set variables = '[]' where tenant = 'default'`,
    'ALTERED',
    1,
  ],
  [
    'days of a tenant that are none, where there are none',
    `alter table tenant drop constraint tenant_receipt_retention_days_check;
     update tenant set receipt_retention_days = -1 where tenant = 'default'`,
    'ALTERED',
    1,
  ],
  ['a tenant that was removed', `delete from tenant where tenant = 'acme'`, 'MISSING', seqOf('acme is edited')],
  [
    'a tenant that nobody made',
    `insert into tenant (tenant, parent, display_name, variables, capture_policy, edit_version, document_hash,
       create_time, update_time, update_actor)
     select 'evil', parent, display_name, variables, capture_policy, edit_version, document_hash, create_time,
       update_time, update_actor
     from tenant where tenant = 'acme'`,
    'UNEXPECTED',
    0,
  ],
  [
    'another snapshot of a bundle version',
    `update bundle_version set snapshot_hash = '${DOCUMENT}' where version = '1.1.0'`,
    'ALTERED',
    seqOf('welcome is published again'),
  ],
  [
    'another draft of a bundle version',
    `update bundle_version set draft_hash = '${DOCUMENT}' where version = '1.0.0'`,
    'ALTERED',
    seqOf('welcome is published'),
  ],
  ...[`template_tenant = 'acme'`, `template_id = 'other'`, `template_version = '2.0.0'`].map(
    (pin) =>
      [
        `${pin} of what a bundle version was built from`,
        `update bundle_version_pin set ${pin} where version = '1.1.0'`,
        'ALTERED',
        seqOf('welcome is published again'),
      ] as const,
  ),
  [
    'nothing that a bundle version was built from',
    `delete from bundle_version_pin where version = '1.0.0'`,
    'ALTERED',
    seqOf('welcome is published'),
  ],
  [
    'a bundle version that was removed',
    `delete from bundle_version where version = '1.0.0'`,
    'MISSING',
    seqOf('welcome is published'),
  ],
  [
    'a bundle version that nobody published',
    `insert into bundle_version (tenant, id, version, type, draft_hash, snapshot_hash, personality_hash,
       constraints_hash, edit_version, create_time, create_actor)
     select tenant, id, '1.2.0', type, draft_hash, snapshot_hash, personality_hash, constraints_hash, edit_version,
       create_time, create_actor
     from bundle_version where version = '1.1.0'`,
    'UNEXPECTED',
    0,
  ],
  [
    'another document of a template version',
    `update template_version set document_hash = '${DOCUMENT}'`,
    'ALTERED',
    seqOf('hello is published'),
  ],
  ...['type', 'edit_version', 'create_actor'].flatMap((column) => [
    [
      `another ${column} of a template version`,
      `update template_version set ${column} = '9'`,
      'ALTERED',
      seqOf('hello is published'),
    ] as const,
    [
      `another ${column} of a bundle version`,
      `update bundle_version set ${column} = '9' where version = '1.0.0'`,
      'ALTERED',
      seqOf('welcome is published'),
    ] as const,
  ]),
  ['a template version that was removed', 'delete from template_version', 'MISSING', seqOf('hello is published')],
  [
    'a template version of a template that published none',
    `update template_version set id = 'template-2'; insert into template_version (tenant, id, version, type,
       document_hash, edit_version, create_time, create_actor)
     select tenant, 'hello', version, type, document_hash, edit_version, create_time, create_actor
     from template_version`,
    'UNEXPECTED',
    0,
  ],
  [
    'another draft of a template',
    `update template set draft_hash = '${DOCUMENT}' where id = 'template-9'`,
    'ALTERED',
    9,
  ],
  [
    'another draft of a bundle',
    `update bundle set draft_hash = '${DOCUMENT}'`,
    'ALTERED',
    seqOf('welcome is edited'),
  ],
  ['another edit_version of a bundle', 'update bundle set edit_version = 1', 'ALTERED', seqOf('welcome is edited')],
  ['another type of a bundle', `update bundle set type = 'FAREWELL'`, 'ALTERED', seqOf('welcome is edited')],
  ['an archived bundle', 'update bundle set archive_time = now()', 'ALTERED', seqOf('welcome is edited')],
  [
    'a template that came back from the archive',
    `update template set archive_time = null where id = 'template-3'`,
    'ALTERED',
    seqOf('a template is archived'),
  ],
  ['a bundle that was removed', 'delete from bundle', 'MISSING', seqOf('welcome is edited')],
  [
    'a bundle that nobody made',
    `insert into bundle select 'acme', id, type, edit_version, draft_hash, latest_version, create_time, update_time,
       update_actor, archive_time
     from bundle`,
    'UNEXPECTED',
    0,
  ],
];

describe('Verification shows tampering', () => {
  before(async () => {
    registry = await openRegistry();
    await fill();
    owner = await openSession(registry.test.ownerUrl, 'platen test');
  });

  after(async () => {
    await owner.close();
    await registry.close();
  });

  beforeEach(() =>
    run(`begin; set local session_replication_role = replica; alter table document drop constraint document_check;
      alter table change drop constraint change_seq_check;
      alter table receipt_batch drop constraint receipt_batch_batch_check`),
  );

  afterEach(() => run('rollback'));

  it('but not where there is none', async () => {
    const { findings, result } = await verify(await heads());
    assert.deepEqual(findings, []);
    assert.deepEqual(result, {
      intact: true,
      heads: await heads(),
      documents: await reader().countDocuments(),
      changes: CHANGES,
      receipts: RECEIPTS,
      prunedReceipts: 0,
    });
  });

  for (const { title, sql, found: expected } of TABLE) {
    it(`of a superuser: ${title}`, async () => {
      await run(sql);
      const { findings } = await verify();
      assert.deepEqual(findings.map(pick), expected);
    });
  }

  for (const [title, sql, problem, seq] of SERVED) {
    it(`of a superuser with what is served: ${title}`, async () => {
      await run(sql);
      const { findings } = await verify();
      const place = seq > 0 ? { seq } : {};
      assert.deepEqual(findings.map(pick), [{ part: 'CHANGES', problem, ...place }]);
    });
  }

  for (const [sql, expected, actual, description] of [
    [
      `update channel set revision = 2 where channel = 'production'`,
      '3',
      '2',
      `revision of channel default/welcome#production is not what change ${seqOf('welcome is rolled back')} says`,
    ],
    [
      `delete from activation`,
      '{"bundle_id":"welcome","revision":1}',
      '',
      `activation default/GREETING is missing: change ${seqOf('welcome is activated')} says that it is there`,
    ],
    [
      `update activation set tenant = 'acme'`,
      '',
      '{"bundle_id":"welcome","revision":1}',
      'activation acme/GREETING is there, which no change made',
    ],
    [
      `update release set create_actor = 'eve' where channel = 'staging' and revision = 2`,
      'admin',
      'eve',
      `create_actor of release default/welcome#staging@2 is not what change ${seqOf('staging is withdrawn')} says`,
    ],
    [
      `insert into release (tenant, bundle_id, channel, revision, kind, targets, origin_revision, seq, create_time,
         create_actor)
       select tenant, bundle_id, 'beta', revision, kind, targets, origin_revision, seq, create_time, create_actor
       from release where channel = 'staging'`,
      '0',
      '2',
      'channel default/welcome#beta has 2 releases, of which changes made 0',
    ],
  ] as const) {
    it(`which says: ${description}`, async () => {
      await run(sql);
      const { findings } = await verify();
      const told = findings.map((found) => [found.expected, found.actual, found.description]);
      assert.deepEqual(told, [[expected, actual, description]]);
    });
  }

  it('which is told by what must be there, what is there, and in words', async () => {
    await run(`update receipt set caller = 'other' where render_id = ${id(2, 1)}`);
    const { findings } = await verify();
    const { renderId } = receipt(2, 1);
    const [expected, actual] = [receiptHash(receipt(2, 1)), receiptHash({ ...receipt(2, 1), caller: 'other' })];
    const description = `receipt ${renderId} is not what was chained`;
    const place = { seq: 0, batch: 2, renderId, documentHash: '' };
    assert.deepEqual(findings, [{ part: 'RECEIPTS', problem: 'ALTERED', ...place, expected, actual, description }]);
  });

  /** Cuts off what came after change 17 and batch 4, but for the rows that the changes made. */
  function cutOff(): Promise<void> {
    return run(`delete from change where seq > 17; delete from receipt_batch where batch > 4;
      delete from receipt where batch > 4; delete from receipt_stray where batch > 4;
      update change_head set (seq, chain_hash) = (select seq, chain_hash from change where seq = 17);
      update receipt_head set (batch, chain_hash) = (select batch, chain_hash from receipt_batch where batch = 4)`);
  }

  it('a tail that was cut off, by what it leaves behind', async () => {
    await cutOff();
    assert.deepEqual((await verify()).findings.map(pick), [{ part: 'CHANGES', problem: 'UNEXPECTED' }]);
  });

  it('a tail that was cut off with all that it had made, and only against a checkpoint', async () => {
    const checkpoint = await heads();
    await cutOff();
    await run(`delete from channel; delete from release; delete from activation; delete from bundle_version;
      delete from template_version; delete from bundle; delete from tenant where tenant <> 'default';
      delete from template where draft_hash not in (select after_hash from change);
      update template set archive_time = null`);
    assert.deepEqual((await verify()).findings, []);
    assert.deepEqual((await verify(checkpoint)).findings.map(pick), [
      ...found.change('CHECKPOINT_MISMATCH', CHANGES),
      ...found.batch('CHECKPOINT_MISMATCH', 6),
    ]);
  });

  it('a chain that was computed anew, and only against a checkpoint', async () => {
    const checkpoint = await heads();
    await run(`update change set actor = 'somebody else' where seq = 17`);
    await rechainChanges(17);
    await run(`delete from receipt where render_id = ${id(2, 1)}`);
    await rechainReceipts();
    const { findings, result } = await verify();
    assert.deepEqual([findings, result.receipts], [[], RECEIPTS - 1]);
    assert.deepEqual((await verify(checkpoint)).findings.map(pick), [
      ...found.change('CHECKPOINT_MISMATCH', CHANGES),
      ...found.batch('CHECKPOINT_MISMATCH', 6),
    ]);
  });

  it('not what was written since the checkpoint, which the next one is for', async () => {
    const { changes: [, change], batches: [, batch] } = {
      changes: await reader().changes(9, 11),
      batches: await reader().batches(1, 3),
    };
    const checkpoint = {
      changeSeq: change!.seq,
      changeHash: change!.chainHash,
      batch: batch!.batch,
      batchHash: batch!.chainHash,
    };
    await run(`update change set actor = 'somebody else' where seq = 17`);
    await rechainChanges(17);
    assert.deepEqual((await verify(checkpoint)).findings, []);
    const forged = { ...checkpoint, changeHash: 'a'.repeat(64), batchHash: 'b'.repeat(64) };
    assert.deepEqual((await verify(forged)).findings.map(pick), [
      ...found.change('CHECKPOINT_MISMATCH', change!.seq),
      ...found.batch('CHECKPOINT_MISMATCH', batch!.batch),
    ]);
  });

  for (const [title, sql] of [
    ['erased values', 'delete from receipt_payload; delete from receipt_payload_stray'],
    ['changed values', `update receipt_payload set inputs = '{"variables":{"customer":"Eve"}}'`],
  ] as const) {
    it(`not ${title}, which are in no chain: a replay finds that they are not those of the render`, async () => {
      await run(sql);
      assert.deepEqual((await verify()).findings, []);
    });
  }
});
