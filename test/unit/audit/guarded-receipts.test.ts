import assert from 'node:assert/strict';
import { GuardedReceipts } from '../../../src/audit/guarded-receipts.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
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
  let elapsed: number;
  let receipts: GuardedReceipts;

  beforeEach(() => {
    sink = new Sink();
    states = [];
    const guard = {
      store: 'postgres_receipts',
      failuresToOpen: FAILURES_TO_OPEN,
      retryAfterMs: 500,
      now: () => elapsed,
      observer: { state: (_store: string, state: string) => states.push(state), rejected: () => {} },
    };
    elapsed = 0;
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

  it('a caller in a hurry who tries it and fails leaves the next try to another', async () => {
    sink.failure = away();
    await failAsOftenAsOpens();
    elapsed = 500;
    await assert.rejects(write(10), (error) => error === sink.failure);
    assert.deepEqual(states, ['closed', 'open', 'half_open']);
    sink.failure = undefined;
    await write();
    assert.deepEqual(states, ['closed', 'open', 'half_open', 'closed']);
  });
});
