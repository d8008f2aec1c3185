import assert from 'node:assert/strict';
import { batchHash, batchRoot, CHAIN_ORIGIN, changeHash, dayOf, receiptHash } from '../../../src/audit/hash-chain.ts';
import type { PointerPage, PointerRow } from '../../../src/audit/pointer-verification.ts';
import type {
  BatchRange,
  Link,
  PrunedDays,
  StoredBatch,
  StoredChange,
  StoredDocument,
  StoredReceipt,
  TrailReader,
} from '../../../src/audit/stored-trail.ts';
import { verifyTrail } from '../../../src/audit/verification.ts';
import { canonicalJson, documentOf } from '../../../src/domain/document.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import type { AuditFinding, AuditHeads, VerificationProgress } from '../../../src/services/trail-jobs.ts';
import type { ChangeEntry } from '../../../src/services/trail.ts';
import { changeEntry, receiptRecord } from '../../support/storage/records.ts';

const DAY = 86_400_000;
const NOON = new Date('2026-03-01T12:00:00Z');

function day(n: number): Date {
  return new Date(NOON.getTime() + n * DAY);
}

/** A trail in memory. */
class MemoryTrail implements TrailReader {
  readonly stored: StoredDocument[] = [];
  readonly log: StoredChange[] = [];
  readonly links: StoredBatch[] = [];
  rows: StoredReceipt[] = [];
  pageRows = 2;
  changeHead: Link = { number: 0, hash: CHAIN_ORIGIN };
  batchHead: Link = { number: 0, hash: CHAIN_ORIGIN };

  /** Appends a change as the server does, with its document; of an entity without rows unless told otherwise. */
  change(entry: Partial<ChangeEntry> = {}): void {
    const { hash, text } = documentOf({ change: this.log.length });
    this.stored.push({ hash, content: text });
    this.stored.sort((a, b) => (a.hash < b.hash ? -1 : 1));
    const { number, hash: prevHash } = this.changeHead;
    const record = {
      ...changeEntry({ entityKind: 'RECEIPT', action: 'ERASE', afterHash: hash, ...entry }),
      seq: number + 1,
      time: NOON,
      actor: 'admin',
      requestId: '',
      traceId: '',
    };
    const chainHash = changeHash(record, prevHash);
    this.log.push({ ...record, detail: canonicalJson(record.detail), prevHash, chainHash });
    this.changeHead = { number: record.seq, hash: chainHash };
  }

  prune(detail: JsonObject): void {
    this.change({ action: 'PRUNE', entityKind: 'RECEIPT', entityId: '', detail });
  }

  /** Chains receipts of one day as the server does. */
  batch(time: Date, count: number): void {
    const batch = this.batchHead.number + 1;
    const receipts = Array.from({ length: count }, (_, batchPos) => {
      const record = receiptRecord(time);
      const { labels } = record;
      const hash = receiptHash(record);
      return { ...record, labels: canonicalJson(labels), receiptHash: hash, batch, batchPos, stray: false };
    });
    this.rows.push(...receipts);
    const root = batchRoot(receipts.map((receipt) => receipt.receiptHash));
    const link = { batch, time: NOON, day: dayOf(receipts[0]!.renderId), count, root };
    const prevHash = this.batchHead.hash;
    const chainHash = batchHash(link, prevHash);
    this.links.push({ ...link, prevHash, chainHash });
    this.batchHead = { number: batch, hash: chainHash };
  }

  /** Deletes receipts of these batches, if need be but for so many of each. */
  deleteReceipts(batches: readonly number[], keep = 0): void {
    this.rows = this.rows.filter(({ batch, batchPos }) => !batches.includes(batch) || batchPos < keep);
  }

  heads(): Promise<{ changes: Link; batches: Link }> {
    return Promise.resolve({ changes: this.changeHead, batches: this.batchHead });
  }

  countDocuments(): Promise<number> {
    return Promise.resolve(this.stored.length);
  }

  countReceipts(_last: number, pruned: PrunedDays): Promise<number> {
    const left = this.links.filter(({ day, batch }) => (pruned.get(day) ?? 0) < batch);
    return Promise.resolve(left.reduce((sum, { count }) => sum + count, 0));
  }

  documents(after: string): Promise<StoredDocument[]> {
    return this.#page(this.stored, ({ hash }) => hash > after);
  }

  missingDocuments(hashes: readonly string[]): Promise<string[]> {
    return Promise.resolve(hashes.filter((hash) => !this.stored.some((document) => document.hash === hash)));
  }

  changes(after: number, last: number): Promise<StoredChange[]> {
    return this.#page(this.log, ({ seq }) => seq > after && seq <= last);
  }

  prunes(): Promise<StoredChange[]> {
    return Promise.resolve(this.log.filter(({ action }) => action === 'PRUNE'));
  }

  changeOutside(): Promise<number | undefined> {
    return Promise.resolve(this.log.find(({ seq }) => seq > this.changeHead.number)?.seq);
  }

  batches(after: number, last: number): Promise<StoredBatch[]> {
    return this.#page(this.links, ({ batch }) => batch > after && batch <= last);
  }

  batchOutside(after: number): Promise<number | undefined> {
    return Promise.resolve(this.links.find(({ batch }) => batch <= after || batch > this.batchHead.number)?.batch);
  }

  receipts(range: BatchRange, after: StoredReceipt | undefined): Promise<StoredReceipt[]> {
    const start = after === undefined ? 0 : this.rows.indexOf(after) + 1;
    return this.#page(this.rows.slice(start), (receipt) => isOfBatches(receipt, range) && isOfDays(receipt, range));
  }

  receiptOfOtherDay(range: BatchRange): Promise<StoredReceipt | undefined> {
    return Promise.resolve(this.rows.find((receipt) => isOfBatches(receipt, range) && !isOfDays(receipt, range)));
  }

  receiptOutside(after: number): Promise<StoredReceipt | undefined> {
    return Promise.resolve(this.rows.find(({ batch }) => batch <= after || batch > this.batchHead.number));
  }

  moving(): Promise<PointerPage> {
    return Promise.resolve({ head: this.changeHead.number, rows: [] });
  }

  owners(): Promise<PointerPage> {
    return Promise.resolve({ head: this.changeHead.number, rows: [] });
  }

  lasting(): Promise<PointerRow[]> {
    return Promise.resolve([]);
  }

  #page<T>(rows: readonly T[], isIn: (row: T) => boolean): Promise<T[]> {
    return Promise.resolve(rows.filter(isIn).slice(0, this.pageRows));
  }
}

function isOfBatches({ batch }: StoredReceipt, { first, last }: BatchRange): boolean {
  return batch >= first && batch <= last;
}

function isOfDays({ renderId }: StoredReceipt, { firstDay, lastDay }: BatchRange): boolean {
  return Date.parse(dayOf(renderId)) >= Date.parse(firstDay) && Date.parse(dayOf(renderId)) <= Date.parse(lastDay);
}

async function verify(trail: TrailReader, checkpoint?: AuditHeads): Promise<VerificationProgress[]> {
  const told: VerificationProgress[] = [];
  for await (const progress of verifyTrail(trail, checkpoint)) told.push(progress);
  return told;
}

/** What is found, as `PROBLEM batch 2`. */
async function findings(trail: TrailReader, checkpoint?: AuditHeads): Promise<string[]> {
  const found = (await verify(trail, checkpoint)).flatMap(({ finding }) => finding ?? []);
  return found.map(({ problem, seq, batch }: AuditFinding) => `${problem} ${seq ? `change ${seq}` : `batch ${batch}`}`);
}

async function prunedReceipts(trail: TrailReader): Promise<[receipts: number, pruned: number]> {
  const { result } = (await verify(trail)).at(-1)!;
  return [result!.receipts, result!.prunedReceipts];
}

describe('Verification shows tampering', () => {
  it('and tells how far it is, part by part, in the order of what they build on', async () => {
    const trail = new MemoryTrail();
    for (let n = 0; n < 3; n += 1) trail.change();
    trail.batch(day(0), 3);
    trail.batch(day(1), 1);
    const told = (await verify(trail)).map(({ part, verified, total }) => `${part} ${verified}/${total}`);
    const documents = ['DOCUMENTS 0/3', 'DOCUMENTS 2/3', 'DOCUMENTS 3/3', 'DOCUMENTS 3/3', 'DOCUMENTS 3/3'];
    const changes = ['CHANGES 0/3', 'CHANGES 2/3', 'CHANGES 3/3'];
    const receipts = ['RECEIPTS 0/4', 'RECEIPTS 2/4', 'RECEIPTS 4/4', 'RECEIPTS 4/4'];
    assert.deepEqual(told, [...documents, ...changes, ...receipts]);
  });

  it('and an empty trail is intact', async () => {
    const heads = { changeSeq: 0, changeHash: CHAIN_ORIGIN, batch: 0, batchHash: CHAIN_ORIGIN };
    const result = { intact: true, heads, documents: 0, changes: 0, receipts: 0, prunedReceipts: 0 };
    assert.deepEqual((await verify(new MemoryTrail(), heads)).at(-1), {
      part: 'RECEIPTS',
      verified: 0,
      total: 0,
      result,
    });
  });

  it('and whatever comes meanwhile is left to the next time', async () => {
    const trail = new MemoryTrail();
    trail.change();
    trail.batch(day(0), 1);
    const heads = await trail.heads();
    trail.heads = () => Promise.resolve(heads);
    trail.countDocuments = () => Promise.resolve(1);
    trail.change();
    trail.batch(day(0), 2);
    const told = await verify(trail);
    const { intact, documents, changes, receipts } = told.at(-1)!.result!;
    assert.deepEqual([intact, documents, changes, receipts], [true, 2, 1, 1]);
    assert.ok(told.every(({ verified, total }) => verified <= total));
  });

  it('and the entries before it are counted, those of its page too', async () => {
    const trail = new MemoryTrail();
    for (let n = 0; n < 4; n += 1) trail.change();
    trail.batch(day(0), 4);
    trail.stored[3] = { ...trail.stored[3]!, content: '{}' };
    trail.log[3] = { ...trail.log[3]!, actor: 'somebody else' };
    trail.rows[3] = { ...trail.rows[3]!, caller: 'somebody else' };
    const told = await verify(trail);
    const { intact, heads, documents, changes, receipts } = told.at(-1)!.result!;
    assert.deepEqual([intact, heads, documents, changes, receipts], [false, undefined, 3, 3, 3]);
    const found = told.filter(({ finding }) => finding).map(({ part, verified }) => [part, verified]);
    assert.deepEqual(found, [['DOCUMENTS', 3], ['CHANGES', 3], ['RECEIPTS', 3]]);
  });

  it('in a batch that is too large for a page, and in one whose receipts are read with those of others', async () => {
    for (const counts of [[2_001, 1], [1_500, 501, 1, 1]]) {
      const trail = new MemoryTrail();
      trail.pageRows = 1_000;
      for (const count of counts) trail.batch(day(0), count);
      assert.deepEqual(await findings(trail), []);
      trail.rows = trail.rows.toSpliced(-2, 1);
      assert.deepEqual(await findings(trail), [`MISSING batch ${counts.length - 1}`]);
    }
  });
});

describe("Pruning keeps within each tenant's retention", () => {
  let trail: MemoryTrail;
  const prune = {
    before: '2026-03-03',
    days: ['2026-03-01', '2026-03-02'],
    through: 4,
    receipts: 6,
  };

  beforeEach(() => {
    trail = new MemoryTrail();
    trail.batch(day(0), 2);
    trail.batch(day(1), 3);
    trail.batch(day(2), 2);
    trail.batch(day(0), 1);
  });

  it('what a change says is gone may be missing', async () => {
    trail.deleteReceipts([1, 2, 4]);
    trail.prune(prune);
    assert.deepEqual(await findings(trail), []);
    assert.deepEqual(await prunedReceipts(trail), [2, 6]);
    const { total } = (await verify(trail)).at(-1)!;
    assert.equal(total, 2);
  });

  it('but not some receipts of a batch', async () => {
    trail.deleteReceipts([1, 4]);
    trail.deleteReceipts([2], 1);
    trail.prune(prune);
    assert.deepEqual(await findings(trail), ['MISSING batch 2']);
  });

  it('nor those of another day', async () => {
    trail.deleteReceipts([1, 2, 3, 4]);
    trail.prune(prune);
    assert.deepEqual(await findings(trail), ['MISSING batch 3']);
  });

  it('nor those of such a day that came later', async () => {
    trail.deleteReceipts([1, 2, 4]);
    trail.prune(prune);
    trail.batch(day(0), 1);
    assert.deepEqual(await findings(trail), []);
    trail.deleteReceipts([5]);
    assert.deepEqual(await findings(trail), ['MISSING batch 5']);
  });

  it('nor anything that no change, or only an altered one, says is gone', async () => {
    trail.deleteReceipts([1, 2, 4]);
    assert.deepEqual(await findings(trail), ['MISSING batch 1']);
    trail.prune({ ...prune, days: ['2026-03-01'] });
    trail.log[0] = { ...trail.log[0]!, detail: canonicalJson(prune) };
    assert.deepEqual(await findings(trail), ['ALTERED change 1', 'MISSING batch 1']);
    assert.deepEqual(await prunedReceipts(trail), [0, 0]);
  });

  for (const [what, detail] of [
    ['nothing', {}],
    ['days that are none', { ...prune, days: [1] }],
    ['no list of days', { ...prune, days: 'all' }],
    ['no last batch', { ...prune, through: 'four' }],
    ['no number of receipts', { ...prune, receipts: null }],
    ['no number of a removed batch', { ...prune, batches: { chain_hash: '' } }],
    ['no hash of a removed batch', { ...prune, batches: { removed_through: 4 } }],
  ] as const) {
    it(`nor what a change says that names ${what}`, async () => {
      trail.deleteReceipts([1, 2, 4]);
      trail.prune(detail as JsonObject);
      assert.deepEqual(await findings(trail), ['MISSING batch 1']);
      assert.deepEqual(await prunedReceipts(trail), [0, 0]);
    });
  }

  it('receipts that are there all the same are verified', async () => {
    trail.prune(prune);
    assert.deepEqual(await findings(trail), []);
    trail.rows[0] = { ...trail.rows[0]!, caller: 'somebody else' };
    assert.deepEqual(await findings(trail), ['ALTERED batch 1']);
  });

  describe('with the first batches', () => {
    let last: StoredBatch;

    beforeEach(() => {
      trail.deleteReceipts([1, 2, 4]);
      last = trail.links.splice(0, 2)[1]!;
    });

    function pruneTo(chainHash: string): void {
      trail.prune({ ...prune, batches: { removed_through: 2, chain_hash: chainHash } });
    }

    it('the chain goes on where the change says', async () => {
      pruneTo(last.chainHash);
      assert.deepEqual(await findings(trail), []);
      assert.deepEqual(await prunedReceipts(trail), [2, 6]);
    });

    it('and nowhere else', async () => {
      assert.deepEqual(await findings(trail), ['MISSING batch 1']);
      pruneTo('a'.repeat(64));
      assert.deepEqual(await findings(trail), ['BROKEN_LINK batch 3']);
    });

    it('nothing may be left before that', async () => {
      pruneTo(last.chainHash);
      trail.links.unshift(last);
      assert.deepEqual(await findings(trail), ['UNEXPECTED batch 2']);
      trail.links.shift();
      trail.rows.unshift({ ...trail.rows[0]!, batch: 1 });
      assert.deepEqual(await findings(trail), ['UNEXPECTED batch 1']);
    });

    it('a checkpoint before that cannot be compared, but one of the last batch that went, or a later one', async () => {
      pruneTo(last.chainHash);
      const { changes } = await trail.heads();
      const checkpoint = { changeSeq: changes.number, changeHash: changes.hash };
      const other = 'b'.repeat(64);
      for (const [batch, batchHash, expected] of [
        [1, other, []],
        [2, last.chainHash, []],
        [2, other, ['CHECKPOINT_MISMATCH batch 2']],
        [3, trail.links[0]!.chainHash, []],
        [3, other, ['CHECKPOINT_MISMATCH batch 3']],
        [4, other, ['CHECKPOINT_MISMATCH batch 4']],
        [5, other, ['CHECKPOINT_MISMATCH batch 5']],
      ] as const) {
        assert.deepEqual(await findings(trail, { ...checkpoint, batch, batchHash }), expected);
      }
    });

    it('all of them may go', async () => {
      const [, end] = trail.links.splice(0);
      trail.deleteReceipts([3]);
      const batches = { removed_through: 4, chain_hash: end!.chainHash };
      trail.prune({ ...prune, days: [...prune.days, '2026-03-03'], receipts: 8, batches });
      assert.deepEqual(await findings(trail), []);
      trail.batch(day(3), 1);
      assert.deepEqual(await findings(trail), []);
      assert.deepEqual(await prunedReceipts(trail), [1, 8]);
    });
  });
});
