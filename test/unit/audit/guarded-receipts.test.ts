import assert from 'node:assert/strict';
import { GuardedReceipts } from '../../../src/audit/guarded-receipts.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { StoreGuard } from '../../../src/guard/store-guard.ts';
import type { ReceiptRecord, ReceiptSink } from '../../../src/services/stores.ts';
import { away } from '../../support/cache/fake-content.ts';
import { receiptRecord } from '../../support/storage/records.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const FAILURES_TO_OPEN = 2;

class Sink implements ReceiptSink {
  readonly kept: ReceiptRecord[] = [];
  failure: Error | undefined;
  asked = 0;

  async write(receipt: ReceiptRecord): Promise<void> {
    this.asked += 1;
    if (this.failure) throw this.failure;
    this.kept.push(receipt);
  }
}

describe('A store that does not answer is left alone', () => {
  let sink: Sink;
  let states: string[];
  let receipts: GuardedReceipts;

  beforeEach(() => {
    sink = new Sink();
    states = [];
    const guard = new StoreGuard({
      store: 'postgres_receipts',
      timeoutMs: 10_000,
      failuresToOpen: FAILURES_TO_OPEN,
      retryAfterMs: 60_000,
      observer: { state: (_store, state) => states.push(state), rejected: () => {} },
    });
    receipts = new GuardedReceipts(sink, guard, () => NOW);
  });

  function write(waitMs = 2_000): Promise<void> {
    return receipts.write(receiptRecord(new Date(NOW)), undefined, NOW + waitMs);
  }

  async function failAsOftenAsOpens(waitMs?: number): Promise<void> {
    for (let count = 0; count < FAILURES_TO_OPEN; count += 1) {
      await assert.rejects(write(waitMs), (error) => error === sink.failure);
    }
  }

  it('receipts are kept while it answers', async () => {
    await write();
    assert.equal(sink.kept.length, 1);
  });

  it('a receipt is refused at once once it was away for some', async () => {
    sink.failure = away();
    await failAsOftenAsOpens();
    await assert.rejects(write(), { reason: 'DATABASE_UNAVAILABLE' });
    assert.equal(sink.asked, FAILURES_TO_OPEN);
    assert.deepEqual(states, ['closed', 'open']);
  });

  it('as it is for a caller in a hurry, if the database said that it is away', async () => {
    sink.failure = new Unavailable('DATABASE_UNAVAILABLE', 'not within 10 ms', 1_000, {}, { cause: away() });
    await failAsOftenAsOpens(10);
    assert.deepEqual(states, ['closed', 'open']);
  });

  it('callers in a hurry do not keep the receipts of others from it', async () => {
    sink.failure = away();
    await failAsOftenAsOpens(10);
    sink.failure = undefined;
    await write();
    assert.equal(sink.kept.length, 1);
  });

  it('nor do receipts that it refuses', async () => {
    sink.failure = new Error('value too long');
    await failAsOftenAsOpens();
    sink.failure = undefined;
    await write();
    assert.equal(sink.kept.length, 1);
  });

  it('nor does a moment in which too many wait', async () => {
    sink.failure = new Unavailable('OVERLOADED', '10000 receipts wait already', 1_000);
    await failAsOftenAsOpens();
    sink.failure = undefined;
    await write();
    assert.equal(sink.kept.length, 1);
  });
});
