import assert from 'node:assert/strict';
import { mock } from 'node:test';
import type { Settled } from '../../../src/audit/drainer.ts';
import { JournaledReceipts } from '../../../src/audit/journaled-receipts.ts';
import type { Position } from '../../../src/audit/journal-segments.ts';
import { decodeLine } from '../../../src/audit/receipt-line.ts';
import type { Acknowledgement } from '../../../src/services/receipt-policy.ts';
import { ReceiptNotKept } from '../../../src/services/trail.ts';
import { receiptRecord } from '../../support/storage/records.ts';

const NOW = Date.parse('2026-01-31T08:00:00Z');
const LATE = { name: 'ReceiptNotKept', journaled: true };

/** A journal whose writes are done when the test says. */
class FakeJournal {
  readonly lines: string[] = [];
  readonly #appends: PromiseWithResolvers<Position>[] = [];
  bytes = 0;

  append(line: string): Promise<Position> {
    this.lines.push(line);
    const append = Promise.withResolvers<Position>();
    this.#appends.push(append);
    return append.promise;
  }

  /** All that were begun. */
  written(): void {
    const first = this.lines.length - this.#appends.length;
    this.#appends.splice(0).forEach(({ resolve }, at) => resolve(line(first + at + 1)));
  }

  fail(error: Error): void {
    for (const { reject } of this.#appends.splice(0)) reject(error);
  }

  freed(bytes: number): void {
    this.bytes -= bytes;
  }
}

/** The end of the nth line. */
function line(count: number): Position {
  return { segment: 3, offset: count };
}

let journal: FakeJournal;
let flushes: number;

function receiptsAt(acknowledgement: Acknowledgement): JournaledReceipts {
  return new JournaledReceipts({ journal, acknowledgement, flush: () => void (flushes += 1), now: Date.now });
}

/** Lets all happen that needs no time. */
function turn(): Promise<void> {
  return new Promise(setImmediate);
}

/** What the drainer tells when it has settled the first lines of its own journal. */
function settled(count: number, more: Partial<Settled> = {}): Settled {
  return {
    kind: 'settled',
    end: line(count),
    receipts: 1,
    backlog: 0,
    chained: 1,
    seconds: 0.01,
    freedBytes: 0,
    oldest: undefined,
    torn: 0,
    deadLetters: [],
    ...more,
  };
}

/** Writes a receipt, and says how that stands. */
function write(receipts: JournaledReceipts, { until = Infinity, ageMs = 0 } = {}) {
  const receipt = receiptRecord(new Date(Date.now() - ageMs));
  const writing = { id: receipt.renderId, state: 'waiting', done: Promise.resolve() };
  writing.done = receipts.write(receipt, undefined, until);
  writing.done.then(
    () => (writing.state = 'kept'),
    (error: ReceiptNotKept) => (writing.state = error.journaled ? 'late' : 'lost'),
  );
  return writing;
}

function setUp(): void {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: NOW });
  journal = new FakeJournal();
  flushes = 0;
}

/** Each test of a suite has a journal and a clock of its own. */
function afresh(): void {
  beforeEach(setUp);
  afterEach(() => mock.timers.reset());
}

describe('A level of acknowledgement names what a receipt survives', () => {
  afresh();

  for (const acknowledgement of ['journal', 'fsync'] as const) {
    it(`${acknowledgement}: once it is in the journal, without a word to the drainer`, async () => {
      const receipts = receiptsAt(acknowledgement);
      const inputs = { variables: { name: 'Ada' } };
      const receipt = receiptRecord(new Date());
      const written = receipts.write(receipt, JSON.stringify(inputs), 0);
      journal.written();
      await written;
      assert.deepEqual(journal.lines.map((each) => decodeLine(each.trimEnd())), [{ receipt, inputs }]);
      assert.equal(flushes, 0);
    });
  }

  it('database: once it is in the chain, which the drainer is asked for once for all of a group', async () => {
    const receipts = receiptsAt('database');
    const writings = [write(receipts), write(receipts), write(receipts)];
    journal.written();
    await turn();
    assert.deepEqual([writings.map(({ state }) => state), flushes], [['waiting', 'waiting', 'waiting'], 1]);
    receipts.told(settled(2));
    await turn();
    assert.deepEqual(writings.map(({ state }) => state), ['kept', 'kept', 'waiting']);
    receipts.told(settled(3));
    await turn();
    assert.equal(writings[2]!.state, 'kept');
  });

  it('database: even if it is in the chain before its write is seen to be done', async () => {
    const receipts = receiptsAt('database');
    const [kept, refused] = [write(receipts), write(receipts)];
    receipts.told(settled(2, { deadLetters: [{ renderId: refused.id, reason: '22P05' }] }));
    journal.written();
    await turn();
    assert.deepEqual([kept.state, refused.state, receipts.depth], ['kept', 'late', 0]);
  });

  it('database: for two seconds at most, and no longer than the call can wait', async () => {
    const receipts = receiptsAt('database');
    const writings = [write(receipts), write(receipts, { until: NOW + 500 })];
    journal.written();
    await turn();
    mock.timers.tick(500);
    await turn();
    assert.deepEqual(writings.map(({ state }) => state), ['waiting', 'late']);
    mock.timers.tick(1_499);
    await turn();
    assert.equal(writings[0]!.state, 'waiting');
    mock.timers.tick(1);
    await assert.rejects(writings[0]!.done, { ...LATE, message: /the database did not take it in time/ });
    assert.equal(receipts.depth, 2);
  });

  it('database: not at all once the database was away for as long', async () => {
    const receipts = receiptsAt('database');
    const first = write(receipts);
    journal.written();
    await turn();
    receipts.told({ kind: 'away', reason: 'ECONNREFUSED', backlog: 0, oldest: NOW });
    assert.equal(first.state, 'waiting');
    mock.timers.tick(2_000);
    receipts.told({ kind: 'away', reason: 'ECONNREFUSED', backlog: 0, oldest: NOW });
    const second = write(receipts);
    journal.written();
    await turn();
    assert.deepEqual([first.state, second.state, flushes], ['late', 'late', 2]);
    receipts.told(settled(2));
    const third = write(receipts);
    journal.written();
    await turn();
    assert.equal(third.state, 'waiting');
    receipts.told(settled(3));
    await third.done;
  });

  it('database: a receipt that became a dead letter is not kept so', async () => {
    const receipts = receiptsAt('database');
    const writings = [write(receipts), write(receipts)];
    journal.written();
    await turn();
    receipts.told(settled(2, { deadLetters: [{ renderId: writings[0]!.id, reason: '22P05' }] }));
    await turn();
    assert.deepEqual(writings.map(({ state }) => state), ['late', 'kept']);
    await assert.rejects(writings[0]!.done, { ...LATE, message: /dead letters/ });
  });

  it('database: nor is any that a damaged line may have held', async () => {
    const receipts = receiptsAt('database');
    const before = write(receipts);
    journal.written();
    await turn();
    receipts.told(settled(1));
    const within = write(receipts);
    journal.written();
    await turn();
    receipts.told(settled(2, { deadLetters: [{ renderId: '', reason: 'the line is damaged' }] }));
    const after = write(receipts);
    journal.written();
    await turn();
    receipts.told(settled(3));
    await turn();
    assert.deepEqual([before.state, within.state, after.state], ['kept', 'late', 'kept']);
  });

  it('database: those that nobody waits for are forgotten in the end', async () => {
    const receipts = receiptsAt('database');
    const refused = write(receipts);
    const others = Array.from({ length: 1_001 }, (_, at) => ({ renderId: `render-${at}`, reason: '22P05' }));
    receipts.told(settled(0, { deadLetters: [{ renderId: refused.id, reason: '22P05' }] }));
    receipts.told(settled(1, { deadLetters: others }));
    receipts.told(settled(2, { deadLetters: others.slice(0, 1) }));
    journal.written();
    await turn();
    assert.equal(refused.state, 'kept');
  });

  it('a receipt that the journal does not take is lost at every level', async () => {
    for (const level of ['journal', 'fsync', 'database'] as const) {
      const receipts = receiptsAt(level);
      const lost = write(receipts);
      journal.fail(new ReceiptNotKept('the disk is full', false));
      await turn();
      assert.deepEqual([lost.state, receipts.depth, receipts.oldestSeconds], ['lost', 0, 0]);
    }
  });
});

describe('Readers find the receipts of the replica that they ask', () => {
  afresh();

  /** Asks, and says whether it was answered. */
  function ask(receipts: JournaledReceipts, until = NOW + 2_000) {
    const asked = { answered: false };
    void receipts.settled(until).then(() => (asked.answered = true));
    return asked;
  }

  it('at once if nothing is under way', async () => {
    const receipts = receiptsAt('journal');
    await receipts.settled(NOW + 2_000);
    write(receipts);
    journal.written();
    await turn();
    receipts.told(settled(1));
    await receipts.settled(NOW + 2_000);
    assert.equal(flushes, 0);
  });

  it('when what was journaled before is settled, whatever came since', async () => {
    const receipts = receiptsAt('journal');
    write(receipts);
    journal.written();
    await turn();
    const reader = ask(receipts);
    await turn();
    assert.deepEqual([reader.answered, flushes], [false, 1]);
    write(receipts);
    journal.written();
    await turn();
    receipts.told(settled(1, { end: undefined }));
    await turn();
    assert.equal(reader.answered, false);
    receipts.told(settled(1));
    await turn();
    assert.equal(reader.answered, true);
  });

  it('not later than they can wait', async () => {
    const receipts = receiptsAt('journal');
    write(receipts);
    journal.written();
    await turn();
    const readers = [ask(receipts, NOW + 100), ask(receipts, NOW - 1)];
    mock.timers.tick(100);
    await turn();
    assert.deepEqual(readers.map(({ answered }) => answered), [true, true]);
  });

  it('and once it is known that the database is away still, since they will learn of that by themselves', async () => {
    const receipts = receiptsAt('journal');
    write(receipts);
    journal.written();
    await turn();
    const reader = ask(receipts);
    receipts.told({ kind: 'away', reason: 'ECONNREFUSED', backlog: 0, oldest: NOW });
    await turn();
    const later = ask(receipts);
    await turn();
    assert.deepEqual([reader.answered, later.answered, flushes], [true, false, 2]);
    receipts.told({ kind: 'away', reason: 'ECONNREFUSED', backlog: 0, oldest: NOW });
    await turn();
    assert.equal(later.answered, true);
  });
});

describe('Receipts pass through a local journal', () => {
  afresh();

  it('and it is known how many wait, for how long, and how much room they take', async () => {
    const receipts = receiptsAt('journal');
    const shown = () => [receipts.depth, receipts.oldestSeconds, receipts.bytes];
    assert.deepEqual(shown(), [0, 0, 0]);
    journal.bytes = 900;
    for (const ageMs of [500, 0, 0]) write(receipts, { ageMs });
    journal.written();
    await turn();
    assert.deepEqual(shown(), [3, 0.5, 900]);
    mock.timers.tick(1_000);
    assert.deepEqual(shown(), [3, 1.5, 900]);
    receipts.told({ kind: 'away', reason: 'ECONNREFUSED', backlog: 0, oldest: NOW - 3_000 });
    receipts.told({ kind: 'away', reason: 'connected, but nothing is read', backlog: 2, oldest: undefined });
    assert.deepEqual(shown(), [5, 4, 900]);
    receipts.told(settled(1, { freedBytes: 300, oldest: NOW }));
    assert.deepEqual(shown(), [2, 1, 600]);
    receipts.told(settled(2));
    assert.deepEqual(shown(), [1, 0, 600]);
    receipts.told(settled(3));
    assert.deepEqual(shown(), [0, 0, 600]);
  });

  it('those of workers that are gone too', async () => {
    const receipts = receiptsAt('journal');
    write(receipts);
    journal.written();
    await turn();
    receipts.told({ kind: 'adopted', directory: '/journal/1' });
    receipts.told(settled(0, { end: undefined, receipts: 0, backlog: 500, oldest: NOW - 60_000 }));
    assert.deepEqual([receipts.depth, receipts.oldestSeconds], [501, 60]);
    receipts.told(settled(1));
    assert.deepEqual([receipts.depth, receipts.oldestSeconds], [0, 0]);
  });

  it('and what was drained of those does not make what waits any younger', async () => {
    const receipts = receiptsAt('journal');
    write(receipts, { ageMs: 5_000 });
    journal.written();
    await turn();
    receipts.told(settled(0, { end: undefined, receipts: 0, backlog: 0 }));
    assert.deepEqual([receipts.depth, receipts.oldestSeconds], [1, 5]);
  });

  it('and what a new drainer reads again does not count twice', async () => {
    const receipts = receiptsAt('journal');
    for (let count = 0; count < 3; count += 1) write(receipts);
    journal.written();
    await turn();
    receipts.told(settled(2, { receipts: 2 }));
    for (const again of [1, 2]) receipts.told(settled(again));
    assert.equal(receipts.depth, 1);
    write(receipts);
    journal.written();
    await turn();
    assert.equal(receipts.depth, 2);
    receipts.told(settled(4, { receipts: 2 }));
    assert.equal(receipts.depth, 0);
  });
});
