import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { Unavailable } from '../../../src/domain/errors.ts';
import type { CapturedInputs, ReceiptFilter, ReceiptRecord } from '../../../src/services/stores.ts';
import type { Database } from '../../../src/storage/database.ts';
import { PostgresStores } from '../../../src/storage/postgres-stores.ts';
import { PostgresReceipts } from '../../../src/storage/receipts.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { receiptRecord, renderId } from '../../support/storage/records.ts';
import { openServerDatabase } from '../../support/storage/registry.ts';

const DAY = 86_400_000;
const CONFIG = { timeoutMs: 10_000, queueMax: 10_000 };

let test: TestDatabase;
let database: Database;
let stores: PostgresStores;
let receipts: PostgresReceipts;
/** Noon of this day, UTC. */
let today: Date;

function useReceipts(): void {
  beforeEach(async () => {
    test = await createDatabase();
    database = await openServerDatabase(test);
    stores = new PostgresStores(database.access);
    receipts = new PostgresReceipts(database, CONFIG, () => new Date());
    today = new Date(Math.floor(Date.now() / DAY) * DAY + DAY / 2);
  });

  afterEach(async () => {
    await receipts.close();
    await database.close();
    await test.drop();
  });
}

function at(days: number, milliseconds = 0): Date {
  return new Date(today.getTime() + days * DAY + milliseconds);
}

function writeAll(records: readonly ReceiptRecord[], inputs?: CapturedInputs): Promise<PromiseSettledResult<void>[]> {
  return Promise.allSettled(records.map((record) => receipts.write(record, inputs, Infinity)));
}

async function batches(): Promise<{ batch: string; day: string; count: number }[]> {
  return asOwner(test, 'select batch, day::text, count from receipt_batch order by batch');
}

/** Recomputes the chain from the rows, by rules written down independently of the implementation. */
async function assertChainIntact(): Promise<void> {
  const columns = `render_id, to_char(time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as time,
    duration_us::int, requested_tenant, requested_bundle_id, requested_version, requested_type, capture_policy,
    tenant, bundle_id, version, channel,
    revision, seq::int, source, rendered_hash, bundle_hash, personality_hash, constraints_hash, variables_hash,
    placeholders_hash, messages_hash, renderer_version, caller, request_id, labels, trace_id`;
  const rows = await asOwner<Record<string, string>>(
    test,
    `select batch, batch_pos, receipt_hash, ${columns} from receipt
    union all select batch, batch_pos, receipt_hash, ${columns} from receipt_stray order by batch, batch_pos`,
  );
  const links = await asOwner<{
    batch: string;
    time: Date;
    day: string;
    count: number;
    root: string;
    chain_hash: string;
  }>(test, 'select batch, time, day::text, count, root, chain_hash from receipt_batch order by batch');
  let prev = '0'.repeat(64);
  for (const link of links) {
    const root = createHash('sha256');
    const members = rows.filter((row) => row['batch'] === link.batch);
    for (const { batch: _, batch_pos: __, receipt_hash: stored, ...record } of members) {
      const valued = Object.entries(record).filter(([, value]) => value !== '');
      const text = canonicalize({ ...Object.fromEntries(valued), labels: JSON.parse(record['labels']!) })!;
      const hash = createHash('sha256').update(text).digest();
      assert.equal(stored, hash.toString('hex'));
      root.update(hash);
    }
    assert.equal(link.count, members.length);
    assert.equal(link.root, root.digest('hex'));
    const { batch, time, ...rest } = { ...link, prev };
    const { chain_hash: stored, ...covered } = rest;
    const entry = { batch: Number(batch), time: new Date(time).toISOString(), ...covered };
    prev = createHash('sha256').update(canonicalize(entry)!).digest('hex');
    assert.equal(stored, prev);
  }
  assert.equal(rows.length, links.reduce((sum, { count }) => sum + count, 0));
  const [head] = await asOwner<{ batch: string; chain_hash: string }>(test, 'select * from receipt_head');
  assert.deepEqual([Number(head?.batch), head?.chain_hash], [links.length, prev]);
}

describe('Receipts are chained in batches of one day', () => {
  useReceipts();

  it('those that wait together are one batch, and the chain can be recomputed', async () => {
    const records = Array.from({ length: 100 }, () => receiptRecord(today));
    await writeAll(records);
    const [first, second, ...more] = await batches();
    assert.deepEqual([first?.count, second?.count, more], [1, 99, []]);
    await assertChainIntact();
  });

  it('at most 1,000 are one batch', async () => {
    await writeAll(Array.from({ length: 2002 }, () => receiptRecord(today)));
    assert.deepEqual((await batches()).map(({ count }) => count), [1, 1000, 1000, 1]);
    await assertChainIntact();
  });

  it('over midnight they form two batches', async () => {
    const midnight = Math.floor(today.getTime() / DAY) * DAY;
    const times = [new Date(midnight - 1), new Date(midnight), new Date(midnight - 1), new Date(midnight)];
    await writeAll(times.map((time) => receiptRecord(time)));
    const day = (time: Date) => time.toISOString().slice(0, 10);
    assert.deepEqual(
      (await batches()).map((batch) => [batch.day, batch.count]),
      [
        [day(at(-1)), 1],
        [day(today), 2],
        [day(at(-1)), 1],
      ],
    );
    await assertChainIntact();
  });

  it('two servers chain at once without a fork', async () => {
    const other = await openServerDatabase(test);
    const others = new PostgresReceipts(other, CONFIG, () => new Date());
    const write = (sink: PostgresReceipts) =>
      Array.from({ length: 50 }, () => sink.write(receiptRecord(today), undefined, Infinity));
    await Promise.all([...write(receipts), ...write(others)]);
    await other.close();
    await assertChainIntact();
  });
});

describe('Draining twice records once', () => {
  useReceipts();

  it('a repeated receipt is neither inserted nor chained again', async () => {
    const records = Array.from({ length: 5 }, () => receiptRecord(today));
    await writeAll(records);
    const before = await batches();
    const results = await writeAll([...records, ...records]);
    assert.ok(results.every(({ status }) => status === 'fulfilled'));
    assert.deepEqual(await batches(), before);
    await assertChainIntact();
  });

  it('among new ones only the new are chained', async () => {
    const old = receiptRecord(today);
    await receipts.write(old, undefined, Infinity);
    await writeAll([receiptRecord(today), old, receiptRecord(today), old, receiptRecord(today)]);
    assert.deepEqual((await batches()).map(({ count }) => count), [1, 1, 2]);
    await assertChainIntact();
  });

  it('a stray is not recorded again once its day has a partition', async () => {
    const stray = receiptRecord(at(-2));
    await receipts.write(stray, { variables: { a: 1 } }, Infinity);
    const day = at(-2).toISOString().slice(0, 10);
    const bounds = await asOwner<{ lower: string; upper: string }>(
      test,
      `select platen_day_bound('${day}') as lower, platen_day_bound(date '${day}' + 1) as upper`,
    );
    const name = `receipt_${day.replaceAll('-', '')}`;
    await asOwner(test, `create table ${name} partition of receipt
      for values from ('${bounds[0]!.lower}') to ('${bounds[0]!.upper}')`);
    await receipts.write(stray, { variables: { a: 1 } }, Infinity);
    assert.equal((await batches()).length, 1);
    assert.deepEqual(await asOwner(test, 'select * from receipt'), []);
  });
});

describe('A missing partition loses no receipt', () => {
  useReceipts();

  for (const days of [-2, 9, 1000]) {
    it(`a receipt ${days} days from now is recorded, found and listed`, async () => {
      const stray = receiptRecord(at(days));
      await receipts.write(stray, { variables: { name: 'x' } }, Infinity);
      assert.equal((await stores.receipts.find(stray.renderId))?.renderId, stray.renderId);
      assert.deepEqual(await stores.receipts.findInputs(stray.renderId), { variables: { name: 'x' } });
      assert.equal((await asOwner(test, 'select 1 from receipt_stray')).length, 1);
      await assertChainIntact();
    });
  }

  it('an id of the farthest day that a UUIDv7 can name is recorded too', async () => {
    await receipts.write(receiptRecord(today, { renderId: 'ffffffff-ffff-7000-8000-000000000000' }), undefined, Infinity);
    assert.deepEqual((await batches()).map(({ day }) => day), ['10889-08-02']);
  });

  for (const days of [-1, 0, 8]) {
    it(`the partition of the day ${days} days from now is made when a receipt needs it`, async () => {
      const record = receiptRecord(at(days));
      await receipts.write(record, { fallbackText: 'hi' }, Infinity);
      const [row] = await asOwner<{ receipt: string; payload: string }>(
        test,
        `select (select tableoid::regclass from receipt) as receipt,
          (select tableoid::regclass from receipt_payload) as payload`,
      );
      const suffix = at(days).toISOString().slice(0, 10).replaceAll('-', '');
      assert.deepEqual(row, { receipt: `receipt_${suffix}`, payload: `receipt_payload_${suffix}` });
      assert.deepEqual(await stores.receipts.findInputs(record.renderId), { fallbackText: 'hi' });
    });
  }

  it('a partition is made once by many who need it', async () => {
    const day = at(3).toISOString().slice(0, 10);
    const made = await Promise.all(
      Array.from({ length: 8 }, () =>
        database.access((em) =>
          em.execute<{ made: boolean }[]>('select platen_ensure_receipt_partition(?) as made', [day]),
        ),
      ),
    );
    assert.ok(made.every(([row]) => row?.made));
  });

  it('the server cannot make partitions of other days', async () => {
    for (const days of [-2, 9]) {
      const day = at(days).toISOString().slice(0, 10);
      const [row] = await database.access((em) =>
        em.execute<{ made: boolean }[]>('select platen_ensure_receipt_partition(?) as made', [day]),
      );
      assert.equal(row?.made, false);
    }
  });

  it('a partition that was removed meanwhile is made again', async () => {
    const write = () => receipts.write(receiptRecord(today), undefined, Infinity);
    await write();
    const suffix = today.toISOString().slice(0, 10).replaceAll('-', '');
    await asOwner(test, `alter table receipt detach partition receipt_${suffix}`);
    await asOwner(test, `alter table receipt_${suffix} rename to receipt_archive`);
    await asOwner(test, `drop table receipt_payload_${suffix}`);
    const results = await writeAll([receiptRecord(today), receiptRecord(today), receiptRecord(today)]);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 2);
    assert.equal((await asOwner(test, 'select 1 from receipt')).length, 2);
  });
});

describe('A bad receipt never blocks the rest', () => {
  useReceipts();

  it('one among a hundred is rejected alone', async () => {
    await assertRejectedAlone({ renderedHash: 'bad' });
  });

  it('also one whose text no statement can hold', async () => {
    await assertRejectedAlone({ caller: 'a\0b' });
  });

  async function assertRejectedAlone(bad: Partial<ReceiptRecord>): Promise<void> {
    const records = Array.from({ length: 100 }, (_, i) => receiptRecord(today, i === 42 ? bad : {}));
    const results = await writeAll(records);
    assert.deepEqual(results.flatMap(({ status }, i) => (status === 'rejected' ? [i] : [])), [42]);
    assert.equal((await asOwner(test, 'select 1 from receipt')).length, 99);
    await assertChainIntact();
  }
});

describe('The capture policy decides what is kept', () => {
  useReceipts();

  it('a receipt and what was captured are read as they were written', async () => {
    const record = receiptRecord(today, { requestedBundleId: '', requestedType: 'GREETING', durationUs: 2 ** 40 });
    const inputs = { variables: { 'né': [1, "it's \\ ?", null] }, placeholders: [{ role: 'USER' }], fallbackText: '' };
    await receipts.write(record, inputs, Infinity);
    const bare = receiptRecord(today);
    await receipts.write(bare, undefined, Infinity);
    const { receiptHash, batch, ...read } = (await stores.receipts.find(record.renderId))!;
    assert.deepEqual(read, record);
    assert.match(receiptHash, /^[0-9a-f]{64}$/);
    assert.equal(batch, 1);
    assert.deepEqual(await stores.receipts.findInputs(record.renderId), inputs);
    assert.equal(await stores.receipts.findInputs(bare.renderId), undefined);
    assert.equal(await stores.receipts.find(renderId(today)), undefined);
  });
});

describe('Captured values can be erased', () => {
  useReceipts();

  it('by the server, without any change to the receipt or the chain', async () => {
    const record = receiptRecord(today);
    await receipts.write(record, { variables: { name: 'x' } }, Infinity);
    await database.access((em) => em.execute('delete from receipt_payload where render_id = ?', [record.renderId]));
    assert.equal(await stores.receipts.findInputs(record.renderId), undefined);
    assert.notEqual(await stores.receipts.find(record.renderId), undefined);
    await assertChainIntact();
  });
});

describe('Lists are paged by an opaque token', () => {
  useReceipts();

  it('receipts of all days come as one list, the latest first, by any filter', async () => {
    const hash = 'a'.repeat(64);
    const records = [
      receiptRecord(at(-5), { caller: 'b' }),
      receiptRecord(at(-1), { bundleHash: hash }),
      receiptRecord(at(0), { personalityHash: hash, requestId: 'r' }),
      receiptRecord(at(20), { requestedTenant: 'other', caller: 'b' }),
    ];
    for (const record of records) await receipts.write(record, undefined, Infinity);
    const any: ReceiptFilter = {
      tenant: '',
      bundleHash: '',
      personalityHash: '',
      caller: '',
      requestId: '',
      startTime: undefined,
      endTime: undefined,
    };
    const listed = async (filter: Partial<ReceiptFilter>, before = '', limit = 10) =>
      (await stores.receipts.list({ ...any, ...filter }, before, limit)).map(({ renderId: id }) =>
        records.findIndex((record) => record.renderId === id),
      );
    assert.deepEqual(await listed({}), [3, 2, 1, 0]);
    assert.deepEqual(await listed({}, '', 2), [3, 2]);
    assert.deepEqual(await listed({}, records[2]!.renderId, 2), [1, 0]);
    assert.deepEqual(await listed({ tenant: 'other' }), [3]);
    assert.deepEqual(await listed({ caller: 'b' }), [3, 0]);
    assert.deepEqual(await listed({ bundleHash: hash }), [1]);
    assert.deepEqual(await listed({ personalityHash: hash }), [2]);
    assert.deepEqual(await listed({ requestId: 'r' }), [2]);
    assert.deepEqual(await listed({ startTime: at(-1) }), [3, 2, 1]);
    assert.deepEqual(await listed({ startTime: at(-1), endTime: at(0) }), [1]);
  });
});

describe('A lost receipt is counted and told', () => {
  useReceipts();

  it('a receipt that is not in the chain in time is rejected with what kept it, and does not come later', async () => {
    const away = await openServerDatabase({ serverUrl: 'postgresql://platen@127.0.0.1:1/platen' });
    const impatient = new PostgresReceipts(away, { timeoutMs: 100, queueMax: 10 }, () => new Date());
    await assert.rejects(impatient.write(receiptRecord(today), undefined, Infinity), (error) => {
      assert.ok(error instanceof Unavailable);
      assert.equal(error.reason, 'DATABASE_UNAVAILABLE');
      assert.ok(error.cause instanceof Unavailable);
      return true;
    });
    await impatient.close();
    await away.close();
  });

  it('more than may wait are rejected at once', async () => {
    const narrow = new PostgresReceipts(database, { timeoutMs: 10_000, queueMax: 2 }, () => new Date());
    const write = () => narrow.write(receiptRecord(today), undefined, Infinity);
    const results = await Promise.allSettled([write(), write(), write()]);
    assert.deepEqual(results.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected']);
    const [, , refused] = results as PromiseRejectedResult[];
    assert.equal((refused!.reason as Unavailable).reason, 'OVERLOADED');
  });

  it('a connection that is lost meanwhile loses no receipt', async () => {
    await writeAll([receiptRecord(today)]);
    const results = writeAll(Array.from({ length: 50 }, () => receiptRecord(today)));
    await asOwner(test, `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'platen'`);
    assert.ok((await results).every(({ status }) => status === 'fulfilled'));
    await assertChainIntact();
  });

  it('closing waits for what was handed over', async () => {
    const results = writeAll([receiptRecord(today), receiptRecord(today)]);
    await receipts.close();
    assert.equal((await asOwner(test, 'select 1 from receipt')).length, 2);
    await results;
  });
});
