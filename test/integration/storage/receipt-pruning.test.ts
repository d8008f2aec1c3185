import assert from 'node:assert/strict';
import pg from 'pg';
import { dayOf } from '../../../src/audit/hash-chain.ts';
import { verifyTrail } from '../../../src/audit/verification.ts';
import { RouteMap } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import { postgresChangeLog } from '../../../src/routing/postgres-change-log.ts';
import type { VerificationProgress } from '../../../src/services/trail-jobs.ts';
import type { ReceiptRecord } from '../../../src/services/trail.ts';
import { SERVER_ROLE } from '../../../src/storage/connection.ts';
import { TenantService } from '../../../src/services/tenant-service.ts';
import { ReceiptChain } from '../../../src/storage/receipt-chain.ts';
import { pruneReceipts, type PruneOptions, type Pruning } from '../../../src/storage/receipt-pruning.ts';
import { PostgresTrailReader } from '../../../src/storage/trail-reader.ts';
import { shareTrail } from '../../../src/storage/trail-lock.ts';
import { asOwner, createEmptyDatabase } from '../../support/postgres.ts';
import { changeEntry, receiptRecord, tenantRecord } from '../../support/storage/records.ts';
import { openRegistry, type Registry } from '../../support/storage/registry.ts';
import { until } from '../../support/until.ts';

const DAY = 86_400_000;
/** Midnight, UTC. */
const TODAY = Math.floor(Date.now() / DAY) * DAY;

let registry: Registry;
let chain: ReceiptChain;

function usePruning(): void {
  beforeEach(async () => {
    registry = await openRegistry();
    chain = new ReceiptChain({ url: registry.test.serverUrl, statementTimeoutMs: 10_000 });
    await chain.ensurePartitions();
  });

  afterEach(async () => {
    await chain.close();
    await registry.close();
  });
}

/** Noon of a day that is so many days from now. */
function noon(days: number): Date {
  return new Date(TODAY + days * DAY + DAY / 2);
}

function day(days: number): string {
  return noon(days).toISOString().slice(0, 10);
}

/** Receipts of a day, with values; one batch. */
async function drain(days: number, count = 1, changes: Partial<ReceiptRecord> = {}): Promise<void> {
  const receipts = Array.from({ length: count }, () => ({
    receipt: receiptRecord(noon(days), { requestedTenant: 'default', ...changes }),
    inputs: { variables: {} },
  }));
  for (const batch of chain.prepare(receipts)) await chain.append(batch);
}

/** Makes tenants below the root that keep receipts for so many days, each below the one before it. */
async function keepers(retentions: Readonly<Record<string, number>>): Promise<void> {
  let parent = 'default';
  for (const [tenant, receiptRetentionDays] of Object.entries(retentions)) {
    const content = { displayName: '', variables: {}, capturePolicy: 'FULL', receiptRetentionDays } as const;
    const given = { tenant, parent, ...content };
    await registry.write((tx) => new TenantService(registry.stores).create(tx, given));
    parent = tenant;
  }
}

/** Prunes days before one, on a clock that is some days ahead, so that days with partitions are past as well. */
function prune(before: number, ahead = 60, options: Partial<PruneOptions> = {}): Promise<Pruning> {
  const given = { before: new Date(TODAY + before * DAY), dryRun: false, ...options };
  return pruneReceipts(registry.test.ownerUrl, given, () => new Date(Date.now() + ahead * DAY));
}

/** What is left: receipts and values by day, the batches, and the partitions. */
async function left(): Promise<{ receipts: string[]; values: string[]; batches: number[]; partitions: string[] }> {
  const { test } = registry;
  const byDay = async (table: string) => {
    const rows = await asOwner<{ id: string }>(
      test,
      `select render_id as id from ${table} union all select render_id from ${table}_stray order by 1`,
    );
    return rows.map(({ id }) => dayOf(id));
  };
  const batches = await asOwner<{ batch: string }>(test, 'select batch from receipt_batch order by batch');
  const partitions = await asOwner<{ name: string }>(
    test,
    `select relname as name from pg_class where relname ~ '^receipt_(payload_)?[0-9]{8}$' order by relname`,
  );
  return {
    receipts: await byDay('receipt'),
    values: await byDay('receipt_payload'),
    batches: batches.map(({ batch }) => Number(batch)),
    partitions: partitions.map(({ name }) => name),
  };
}

function partitionsOf(...days: number[]): string[] {
  const suffixes = days.map((each) => day(each).replaceAll('-', ''));
  return ['receipt_', 'receipt_payload_'].flatMap((name) => suffixes.map((suffix) => name + suffix));
}

async function prunes(): Promise<Record<string, unknown>[]> {
  const changes = await registry.stores.changes.list(
    {
      tenant: '',
      entityKind: 'RECEIPT',
      entityId: '',
      action: 'PRUNE',
      actor: '',
      hash: '',
      startTime: undefined,
      endTime: undefined,
    },
    0,
    100,
  );
  return changes.map(({ detail }) => detail).toReversed();
}

/** Verifies the whole trail. @returns how many receipts are there, and how many were pruned */
async function verified(): Promise<{ receipts: number; pruned: number }> {
  let last: VerificationProgress | undefined;
  for await (const progress of verifyTrail(new PostgresTrailReader(registry.database.access), undefined)) {
    assert.equal(progress.finding, undefined, progress.finding?.description);
    last = progress;
  }
  assert.equal(last?.result?.intact, true);
  return { receipts: last.result.receipts, pruned: last.result.prunedReceipts };
}

/** Runs SQL in a transaction of the owner's, and holds it until released. */
async function holding(sql: string): Promise<{ release: () => Promise<void> }> {
  const client = new pg.Client({ connectionString: registry.test.ownerUrl, application_name: 'platen holder' });
  await client.connect();
  await client.query(`begin; ${sql}`);
  return {
    release: async () => {
      await client.query('commit');
      await client.end();
    },
  };
}

/** Waits until a session waits for a lock. */
function waiting(application: string): Promise<void> {
  return until(`${application} waits for a lock`, async () => {
    const sql = `select 1 from pg_stat_activity
      where datname = current_database() and application_name = ? and wait_event_type = 'Lock'`;
    return (await asOwner(registry.test, sql, [application])).length > 0;
  });
}

describe('Pruning keeps within each tenant\'s retention', () => {
  usePruning();

  it('days before the time go, with partitions, strays, values and batches; later ones stay', async () => {
    for (const [days, count] of [[-30, 2], [0, 3], [1, 4], [2, 5]] as const) await drain(days, count);
    const sql = 'select chain_hash from receipt_batch where batch = 2';
    const [second] = await asOwner<{ chain_hash: string }>(registry.test, sql);
    const pruning = await prune(1);
    assert.deepEqual(pruning, {
      days: [
        { day: day(-30), receipts: 2 },
        { day: day(0), receipts: 3 },
      ],
      kept: [],
      batches: { through: 2, chainHash: second!.chain_hash },
      seqs: [2],
    });
    const { receipts, values, batches, partitions } = await left();
    const stay = [...Array.from({ length: 4 }, () => day(1)), ...Array.from({ length: 5 }, () => day(2))];
    assert.deepEqual([receipts, values, batches], [stay, stay, [3, 4]]);
    assert.deepEqual(partitions, partitionsOf(1, 2, 3, 4, 5, 6, 7));
    assert.deepEqual(await prunes(), [
      {
        before: day(1),
        days: [day(-30), day(0)],
        through: 4,
        receipts: 5,
        batches: { removed_through: 2, chain_hash: second!.chain_hash },
      },
    ]);
    assert.deepEqual(await verified(), { receipts: 9, pruned: 5 });
  });

  it('a day that is not wholly before the time stays', async () => {
    await drain(0);
    const { days } = await pruneReceipts(
      registry.test.ownerUrl,
      { before: new Date(TODAY + DAY - 1), dryRun: false },
      () => new Date(Date.now() + 60 * DAY),
    );
    assert.deepEqual(days, []);
    assert.deepEqual((await left()).receipts, [day(0)]);
  });

  it('one tenant keeps longer: its days stay, the others go, and verification counts what went', async () => {
    await keepers({ brief: 10, acme: 365, 'acme-kids': 0 });
    await drain(-3, 1, { requestedTenant: 'acme' });
    await drain(0, 2, { requestedTenant: 'brief' });
    await drain(1, 3, { requestedTenant: 'acme-kids' });
    await drain(1, 1, { requestedTenant: 'brief' });
    await drain(2, 4, { requestedTenant: 'nobody' });
    const { days, kept, batches } = await prune(3);
    assert.deepEqual(days, [
      { day: day(0), receipts: 2 },
      { day: day(2), receipts: 4 },
    ]);
    assert.deepEqual(kept, [
      { day: day(-3), reason: 'tenant acme keeps 365 days' },
      { day: day(1), reason: 'tenant acme-kids keeps 365 days' },
    ]);
    assert.equal(batches, undefined);
    assert.deepEqual((await left()).receipts, [day(-3), ...Array.from({ length: 4 }, () => day(1))]);
    assert.deepEqual(await verified(), { receipts: 5, pruned: 6 });
  });

  it('of strays and a partition of one day each counts', async () => {
    await asOwner(registry.test, `alter table receipt detach partition ${partitionsOf(0)[0]!}`);
    await asOwner(registry.test, `alter table receipt_payload detach partition ${partitionsOf(0)[1]!}`);
    await keepers({ acme: 100 });
    await drain(0, 1, { requestedTenant: 'acme' });
    for (const [index, table] of ['receipt', 'receipt_payload'].entries()) {
      await asOwner(
        registry.test,
        `alter table ${table} attach partition ${partitionsOf(0)[index]!}
         for values from (platen_day_bound('${day(0)}')) to (platen_day_bound('${day(1)}'))`,
      );
    }
    await drain(0, 2);
    assert.deepEqual((await prune(1)).kept, [{ day: day(0), reason: 'tenant acme keeps 100 days' }]);
    assert.deepEqual((await prune(1, 101)).days, [{ day: day(0), receipts: 3 }]);
    assert.deepEqual((await left()).receipts, []);
    assert.deepEqual(await verified(), { receipts: 0, pruned: 3 });
  });

  it('what a tenant does not say, and what an unknown tenant cannot say, the root says', async () => {
    await asOwner(registry.test, `update tenant set receipt_retention_days = 40 where tenant = 'default'`);
    await keepers({ acme: 0 });
    await drain(0, 1, { requestedTenant: 'acme' });
    await drain(1, 1, { requestedTenant: 'nobody' });
    const reasons = (await prune(2, 30)).kept.map(({ reason }) => reason);
    assert.deepEqual(reasons, ['tenant acme keeps 40 days', 'tenant nobody keeps 40 days']);
    assert.deepEqual((await prune(2, 41)).days, [{ day: day(0), receipts: 1 }]);
    assert.deepEqual((await prune(2, 42)).days, [{ day: day(1), receipts: 1 }]);
  });

  it('today and yesterday stay whatever is asked for', async () => {
    for (const days of [0, 1, 2]) await drain(days);
    const { days, kept } = await prune(30, 2);
    assert.deepEqual(days, [{ day: day(0), receipts: 1 }]);
    const reason = 'receipts of today and yesterday may still arrive';
    assert.deepEqual(kept, [1, 2].map((each) => ({ day: day(each), reason })));
    assert.deepEqual((await left()).receipts, [day(1), day(2)]);
  });

  it('of the chain goes what comes before the first batch that stays', async () => {
    for (const days of [0, 1, 0, 1, 2]) await drain(days);
    assert.equal((await prune(1)).batches?.through, 1);
    assert.deepEqual((await left()).batches, [2, 3, 4, 5]);
    assert.deepEqual(await verified(), { receipts: 3, pruned: 2 });
    assert.equal((await prune(2)).batches?.through, 4);
    assert.deepEqual((await left()).batches, [5]);
    assert.deepEqual(await verified(), { receipts: 1, pruned: 4 });
    assert.equal((await prune(3)).batches?.through, 5);
    assert.deepEqual(await verified(), { receipts: 0, pruned: 5 });
    await drain(3);
    assert.deepEqual(await verified(), { receipts: 1, pruned: 5 });
  });

  it('a receipt that arrives after its day went is a stray, and goes with the next pruning', async () => {
    for (const days of [-30, -20]) await drain(days);
    await prune(-20);
    await drain(-30);
    assert.deepEqual((await left()).batches, [2, 3]);
    assert.deepEqual(await verified(), { receipts: 2, pruned: 1 });
    assert.deepEqual((await prune(-25)).days, [{ day: day(-30), receipts: 1 }]);
    assert.deepEqual((await left()).batches, [2, 3]);
    await drain(-30);
    assert.equal((await prune(-19)).batches?.through, 4);
    assert.deepEqual(await verified(), { receipts: 0, pruned: 4 });
  });

  it('a late receipt of a day that went keeps its batch, and those after it', async () => {
    await keepers({ acme: 365 });
    for (const days of [-30, -20]) await drain(days);
    await prune(-25);
    await drain(-30, 1, { requestedTenant: 'acme' });
    const { days, kept, batches } = await prune(0);
    assert.deepEqual([days, kept.length, batches?.through], [[{ day: day(-20), receipts: 1 }], 1, 2]);
    assert.deepEqual((await left()).batches, [3]);
    assert.deepEqual(await verified(), { receipts: 1, pruned: 2 });
  });

  it('many days go 31 at a time, each with a change', async () => {
    for (let days = -40; days < -5; days += 1) await drain(days);
    const { days, batches, seqs } = await prune(0);
    assert.deepEqual([days.length, batches?.through, seqs], [35, 35, [2, 3]]);
    assert.deepEqual((await prunes()).map((detail) => (detail['days'] as string[]).length), [31, 4]);
    assert.deepEqual(await verified(), { receipts: 0, pruned: 35 });
  });

  it('a dry run says the same, and changes nothing', async () => {
    await keepers({ acme: 365 });
    for (let days = -40; days < -5; days += 1) await drain(days);
    await drain(0, 1, { requestedTenant: 'acme' });
    await drain(1, 3);
    const before = await left();
    const dry = await prune(2, 60, { dryRun: true });
    assert.deepEqual([await left(), await prunes(), dry.seqs], [before, [], []]);
    const { seqs: _, ...real } = await prune(2);
    assert.deepEqual({ ...dry, seqs: undefined }, { ...real, seqs: undefined });
  });

  it('where nothing is left to go nothing is written', async () => {
    await drain(0);
    await prune(1);
    const { days, seqs } = await prune(1);
    assert.deepEqual([days, seqs, (await prunes()).length], [[], [], 1]);
  });

  it('a replica that follows the log hears of it, and no pointer moves', async () => {
    await drain(-30);
    const heard: number[] = [];
    const open = postgresChangeLog(registry.test.serverUrl, SERVER_ROLE);
    const log = await open((seq) => heard.push(seq), () => {}, new AbortController().signal);
    const map = await log.load();
    const { seqs } = await prune(0);
    await until('it is heard', () => heard.length > 0);
    assert.deepEqual(heard, seqs);
    const [change] = await log.from(map.seq + 1, 10);
    assert.deepEqual([change?.action, change?.entityKind, change?.entityId], ['PRUNE', 'RECEIPT', '']);
    map.apply(change!);
    assert.ok(map instanceof RouteMap);
    assert.deepEqual([map.seq, [...map.tenants()]], [2, ['default']]);
    await log.close();
  });
});

describe('Pruning and those who write at the same time', () => {
  usePruning();

  it('two at once: every day goes once', async () => {
    for (let days = -20; days < -5; days += 1) await drain(days);
    const both = await Promise.all([prune(0), prune(0)]);
    assert.deepEqual(both.map(({ days }) => days.length).toSorted((a, b) => a - b), [0, 15]);
    assert.equal((await prunes()).length, 1);
    assert.deepEqual(await verified(), { receipts: 0, pruned: 15 });
  });

  it('drains go on, and lose nothing', async () => {
    for (let days = -20; days < -5; days += 1) await drain(days, 10);
    const pruning = { over: false };
    const pruned = prune(0).finally(() => (pruning.over = true));
    let drained = 0;
    do {
      await drain(0, 10);
      drained += 1;
    } while (!pruning.over);
    await pruned;
    assert.deepEqual(await verified(), { receipts: 10 * drained, pruned: 150 });
  });

  it('a receipt of a day that was about to go goes with it, and is counted', async () => {
    await drain(-30);
    const { release } = await holding('select 1 from receipt_head for update');
    const late = drain(-30);
    await waiting('platen receipts');
    const pruning = prune(0);
    await waiting('platen prune');
    await release();
    await late;
    assert.deepEqual((await pruning).days, [{ day: day(-30), receipts: 2 }]);
    assert.deepEqual(await verified(), { receipts: 0, pruned: 2 });
  });

  it('a tenant that begins to keep its receipts meanwhile keeps them', async () => {
    await keepers({ acme: 1 });
    await drain(-30, 1, { requestedTenant: 'acme' });
    const waits: string[] = [];
    let pruning: Promise<Pruning> | undefined;
    await registry.write(async (tx) => {
      const document = tenantDocument({ parent: 'default', capturePolicy: 'FULL', receiptRetentionDays: 365 });
      await tx.putDocument(document);
      await tx.updateTenant(tenantRecord('acme', { receiptRetentionDays: 365, documentHash: document.hash }));
      const entity = { tenant: 'acme', entityKind: 'TENANT', entityId: 'acme', afterHash: document.hash } as const;
      await tx.appendChange(changeEntry({ action: 'UPDATE', ...entity }));
      pruning = prune(0, 60, { onWait: (reason) => waits.push(reason) });
      await waiting('platen prune');
    });
    const { days, kept } = await pruning!;
    assert.deepEqual([days, kept], [[], [{ day: day(-30), reason: 'tenant acme keeps 365 days' }]]);
    assert.ok(waits.length > 0);
  });

  it('a verification that runs is waited for', async () => {
    await drain(-30);
    const share = await shareTrail(registry.test.serverUrl, 5_000);
    const { promise: waits, resolve } = Promise.withResolvers<string>();
    const pruning = prune(0, 60, { onWait: resolve });
    assert.match(await waits, /as a verification does/);
    await share.release();
    assert.equal((await pruning).days.length, 1);
  });

  it('but not for ever: then nothing was pruned', async () => {
    await drain(-30);
    const share = await shareTrail(registry.test.serverUrl, 5_000);
    await assert.rejects(prune(0), /^Error: nothing was pruned: others use the trail, as a verification does;/);
    assert.deepEqual((await left()).receipts, [day(-30)]);
    await share.release();
  });

  it('what was done before somebody got in the way is said', async () => {
    for (let days = -40; days < -9; days += 1) await drain(days);
    await drain(0);
    const { release } = await holding('lock table receipt in access share mode');
    await assert.rejects(prune(1), /^Error: changes 2 are done, the rest is not: others use the trail/);
    await release();
    assert.deepEqual((await left()).receipts, [day(0)]);
    assert.deepEqual((await prune(1)).seqs, [3]);
  });

  it('one that is killed in the middle leaves everything', async () => {
    for (const days of [-30, 0, 1]) await drain(days);
    const before = await left();
    const { release } = await holding('lock table receipt_batch in share mode');
    const pruning = assert.rejects(prune(1), /terminating connection|Connection terminated/);
    await waiting('platen prune');
    const kill = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'platen prune'`;
    await asOwner(registry.test, kill);
    await pruning;
    await release();
    assert.deepEqual(await left(), before);
    assert.deepEqual(await verified(), { receipts: 3, pruned: 0 });
    assert.equal((await prune(1)).days.length, 2);
  });
});

describe('Pruning needs a database that is up to date', () => {
  it('another one is refused', async () => {
    const test = await createEmptyDatabase();
    const options = { before: new Date(), dryRun: true };
    await assert.rejects(pruneReceipts(test.ownerUrl, options, () => new Date()), /run `platen migrate` first/);
    await test.drop();
  });
});
