import assert from 'node:assert/strict';
import { DeadlineExceeded } from '../../../src/domain/errors.ts';
import type { ErasureFilter, ReceiptFilter, ReceiptRecord } from '../../../src/services/trail.ts';
import type { ReceiptChain } from '../../../src/storage/receipt-chain.ts';
import { openSession } from '../../../src/storage/session.ts';
import { PostgresWrites } from '../../../src/storage/writes.ts';
import { asOwner } from '../../support/postgres.ts';
import { assertChainIntact, drain, noon, openChain } from '../../support/storage/chain.ts';
import { ANY_RECEIPT, changeEntry, receiptRecord } from '../../support/storage/records.ts';
import { notRepeated, openRegistry, openServerDatabase, writeCall, type Registry } from '../../support/storage/registry.ts';
import { until } from '../../support/until.ts';

const HASH = 'a'.repeat(64);
const VALUES = { variables: { name: 'x' } };

let registry: Registry;
let chain: ReceiptChain;

function useRegistry(): void {
  beforeEach(async () => {
    registry = await openRegistry();
    chain = openChain(registry.test);
  });

  afterEach(async () => {
    await chain.close();
    await registry.close();
  });
}

describe('The trail can be filtered and exported', () => {
  useRegistry();

  /** Of days with and without a partition, in the order of time. */
  let records: ReceiptRecord[];

  beforeEach(async () => {
    records = [
      receiptRecord(noon(-5), { caller: 'b', bundleId: 'other', labels: { app: 'chat', '10': 'x', '9': 'y' } }),
      receiptRecord(noon(-1), { bundleHash: HASH, labels: {} }),
      receiptRecord(noon(), { personalityHash: HASH, requestId: 'r', bundleHash: '', labels: { app: 'chat' } }),
      receiptRecord(noon(20), { requestedTenant: 'other', caller: 'b', labels: { app: 'mail "quoted" \\' } }),
    ];
    await drain(chain, records.toReversed(), VALUES);
  });

  const places = (receipts: readonly { renderId: string }[]) =>
    receipts.map(({ renderId }) => records.findIndex((record) => record.renderId === renderId));

  const listed = async (filter: Partial<ReceiptFilter>, before = '', limit = 10) =>
    places(await registry.stores.receipts.list({ ...ANY_RECEIPT, ...filter }, before, limit));

  it('receipts of all days come as one list, the latest first', async () => {
    assert.deepEqual(await listed({}), [3, 2, 1, 0]);
    assert.deepEqual(await listed({}, '', 2), [3, 2]);
    assert.deepEqual(await listed({}, records[2]!.renderId, 2), [1, 0]);
    const [read] = await registry.stores.receipts.list(ANY_RECEIPT, '', 1);
    assert.deepEqual(read, await registry.stores.receipts.find(records[3]!.renderId));
  });

  const filters: [string, Partial<ReceiptFilter>, number[]][] = [
    ['the tenant that asked', { tenant: 'other' }, [3]],
    ['caller', { caller: 'b' }, [3, 0]],
    ['bundle_hash', { bundleHash: HASH }, [1]],
    ['what is no hash, which none has', { bundleHash: 'zz' }, []],
    ['personality_hash', { personalityHash: HASH }, [2]],
    ['request_id', { requestId: 'r' }, [2]],
    ['the bundle that answered', { bundleId: 'other' }, [0]],
    ['a label', { labels: { app: 'chat' } }, [2, 0]],
    ['several labels, all of them', { labels: { '10': 'x', app: 'chat' } }, [0]],
    ['a label with marks', { labels: { app: 'mail "quoted" \\' } }, [3]],
    ['a label of another value', { labels: { app: 'x' } }, []],
    ['several at once', { caller: 'b', labels: { app: 'chat' } }, [0]],
    ['start_time, which counts', { startTime: noon(-1) }, [3, 2, 1]],
    ['end_time, which does not', { startTime: noon(-1), endTime: noon() }, [1]],
    ['a millisecond after', { startTime: noon(-1, 1), endTime: noon(0, 1) }, [2]],
    ['times before all', { startTime: new Date(-1), endTime: new Date(0) }, []],
  ];
  for (const [name, filter, expected] of filters) {
    it(`by ${name}`, async () => {
      assert.deepEqual(await listed(filter), expected);
      assert.equal(await registry.stores.receipts.count({ ...ANY_RECEIPT, ...filter }), expected.length);
      const ascending = await registry.stores.receipts.listWithInputs({ ...ANY_RECEIPT, ...filter }, '', 10);
      assert.deepEqual(places(ascending.map(({ receipt }) => receipt)), expected.toReversed());
    });
  }

  it('time is that of the render_id, not of the column', async () => {
    const odd = receiptRecord(noon(-3), { time: noon(3) });
    await drain(chain, [odd]);
    assert.deepEqual(await listed({ startTime: noon(2), endTime: noon(4) }), []);
    assert.deepEqual(await listed({ startTime: noon(-3), endTime: noon(-2) }), [-1]);
  });

  it('with what is still held of their values, the earliest first', async () => {
    const bare = receiptRecord(noon(1));
    await drain(chain, [bare]);
    const page = await registry.stores.receipts.listWithInputs(ANY_RECEIPT, records[0]!.renderId, 3);
    assert.deepEqual(page.map(({ inputs }) => inputs), [VALUES, VALUES, undefined]);
    assert.deepEqual(places(page.map(({ receipt }) => receipt)), [1, 2, -1]);
    assert.deepEqual(page[2]!.receipt, await registry.stores.receipts.find(bare.renderId));
  });
});

describe('The trail can be filtered and exported', () => {
  useRegistry();

  it('changes by the document before or after, and by time', async () => {
    const { stores, write } = registry;
    const seqs = [
      await write((tx) => tx.appendChange(changeEntry({ afterHash: HASH }))),
      await write((tx) => tx.appendChange(changeEntry({ beforeHash: HASH }))),
      await write((tx) => tx.appendChange(changeEntry())),
    ];
    const any = {
      tenant: '',
      entityKind: undefined,
      entityId: '',
      action: undefined,
      actor: '',
      hash: '',
      startTime: undefined,
      endTime: undefined,
    };
    const listed = async (filter: object) =>
      (await stores.changes.list({ ...any, ...filter }, 0, 10)).map(({ seq }) => seq);
    assert.deepEqual(await listed({ hash: HASH }), [seqs[1], seqs[0]]);
    const middle = (await stores.changes.find(seqs[1]!))!.time;
    const from = await listed({ startTime: middle });
    const until = await listed({ endTime: middle });
    assert.ok(from.includes(seqs[1]!) && !until.includes(seqs[1]!));
    assert.deepEqual([...from, ...until], await listed({}));
  });
});

describe('An erasure is a change and reaches receipts under way', () => {
  useRegistry();

  const erase = (filter: Partial<ErasureFilter>, before = noon(30)) =>
    registry.write(async (tx) => {
      const all: ErasureFilter = { tenant: '', caller: '', labels: {}, startTime: undefined, endTime: undefined };
      const erased = await tx.eraseInputs({ ...all, ...filter }, before);
      const seq = await tx.appendChange(changeEntry({ action: 'ERASE', entityKind: 'RECEIPT', entityId: '' }));
      await tx.insertErasure(seq, { ...all, ...filter }, before);
      return erased;
    });

  const held = async (records: readonly ReceiptRecord[]) => {
    const found = await Promise.all(records.map(({ renderId }) => registry.stores.receipts.findInputs(renderId)));
    return found.map((inputs) => inputs !== undefined);
  };

  /** Strays first and last. */
  const some = (): ReceiptRecord[] => [
    receiptRecord(noon(-4), { caller: 'a' }),
    receiptRecord(noon(), { caller: 'b', labels: { user: '7', app: 'chat' } }),
    receiptRecord(noon(), { caller: 'a', labels: { user: '7' }, requestedTenant: 'brand' }),
    receiptRecord(noon(20), { caller: 'b', requestedTenant: 'brand' }),
  ];

  const cases: [string, Partial<ErasureFilter>, boolean[]][] = [
    ['a tenant', { tenant: 'brand' }, [true, true, false, false]],
    ['a caller', { caller: 'a' }, [false, true, false, true]],
    ['a label', { labels: { user: '7' } }, [true, false, false, true]],
    ['labels, all of them', { labels: { user: '7', app: 'chat' } }, [true, false, true, true]],
    ['a time', { startTime: noon(), endTime: noon(20) }, [true, false, false, true]],
    [
      'all at once',
      { tenant: 'brand', caller: 'a', labels: { user: '7' }, startTime: noon() },
      [true, true, false, true],
    ],
  ];
  for (const [name, filter, expected] of cases) {
    it(`values that were captured are erased by ${name}, and receipts stay`, async () => {
      const records = some();
      await drain(chain, records, VALUES);
      assert.equal(await erase(filter), expected.filter((kept) => !kept).length);
      assert.deepEqual(await held(records), expected);
      assert.equal(await registry.stores.receipts.count(ANY_RECEIPT), 4);
      await assertChainIntact(registry.test);
    });

    it(`and by ${name} of receipts that are drained later`, async () => {
      const records = some();
      assert.equal(await erase(filter), 0);
      await drain(chain, records, VALUES);
      assert.deepEqual(await held(records), expected);
      await assertChainIntact(registry.test);
    });
  }

  it('renders after it keep their values', async () => {
    const records = some();
    await drain(chain, records.slice(0, 2), VALUES);
    assert.equal(await erase({}, noon()), 1);
    await drain(chain, records.slice(2), VALUES);
    assert.deepEqual(await held(records), [false, true, true, true]);
  });

  it('none is erased unless the change is written', async () => {
    const records = some();
    await drain(chain, records, VALUES);
    const failing = registry.write(async (tx) => {
      await tx.eraseInputs({ tenant: '', caller: 'a', labels: {}, startTime: undefined, endTime: undefined }, noon(30));
      throw new Error('refused');
    });
    await assert.rejects(failing, /refused/);
    assert.deepEqual(await held(records), [true, true, true, true]);
  });

  it('a drain waits for an erasure under way, and then knows of it', async () => {
    const [, record] = some();
    const drained: Promise<number>[] = [];
    await registry.write(async (tx) => {
      const filter = { tenant: '', caller: 'b', labels: {}, startTime: undefined, endTime: undefined };
      assert.equal(await tx.eraseInputs(filter, noon(30)), 0);
      drained.push(drain(chain, [record!], VALUES));
      const waits = `select 1 from pg_stat_activity where application_name = 'platen receipts' and
        datname = current_database() and wait_event_type = 'Lock'`;
      await until('it waits', async () => (await asOwner(registry.test, waits)).length > 0);
      await tx.insertErasure(await tx.appendChange(changeEntry({ action: 'ERASE' })), filter, noon(30));
    });
    assert.equal(await drained[0], 1);
    assert.deepEqual(await held([record!]), [false]);
  });

  it('one that waits for a drain for longer than its call lasts takes no effect', async () => {
    const [record] = some();
    await drain(chain, [record!], VALUES);
    const blocking = await openSession(registry.test.ownerUrl, 'platen test');
    await blocking.em.execute('begin; select 1 from receipt_head for update');
    const call = writeCall({ deadline: Date.now() + 100 });
    const filter = { tenant: '', caller: 'a', labels: {}, startTime: undefined, endTime: undefined };
    const erasing = registry.writes.run(call, notRepeated(), (tx) => tx.eraseInputs(filter, noon(30)));
    await assert.rejects(erasing, DeadlineExceeded);
    await blocking.close();
    assert.deepEqual(await held([record!]), [true]);
  });

  it('one whose call has time is not given up when other statements are', async () => {
    const [record] = some();
    await drain(chain, [record!], VALUES);
    const impatient = await openServerDatabase(registry.test, { statementTimeoutMs: 200 });
    const writes = new PostgresWrites(impatient, async () => {}, () => new Date());
    const blocking = await openSession(registry.test.ownerUrl, 'platen test');
    await blocking.em.execute('begin; select 1 from receipt_head for update');
    const filter = { tenant: '', caller: 'a', labels: {}, startTime: undefined, endTime: undefined };
    const call = writeCall({ deadline: Date.now() + 3_600_000 });
    const erasing = writes.run(call, notRepeated<number>(), (tx) => tx.eraseInputs(filter, noon(30)));
    // Longer than the driver waits for the answer to another statement.
    await blocking.em.execute('select pg_sleep(1.5)');
    await blocking.close();
    assert.equal(await erasing, 1);
    await impatient.close();
    assert.deepEqual(await held([record!]), [false]);
  });
});

describe('Captured values can be erased', () => {
  useRegistry();

  it('by the server, without any change to the receipt or the chain', async () => {
    const record = receiptRecord(noon());
    await drain(chain, [record], VALUES);
    const sql = 'delete from receipt_payload where render_id = ?';
    await registry.database.access((em) => em.execute(sql, [record.renderId]));
    assert.equal(await registry.stores.receipts.findInputs(record.renderId), undefined);
    assert.notEqual(await registry.stores.receipts.find(record.renderId), undefined);
    await assertChainIntact(registry.test);
  });
});
