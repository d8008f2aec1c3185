import assert from 'node:assert/strict';
import { mock } from 'node:test';
import {
  type DeadLetter,
  type DrainChain,
  type DrainEvent,
  Drainer,
  type DrainSource,
} from '../../../src/audit/drainer.ts';
import type { Reading } from '../../../src/audit/journal-reader.ts';
import type { Position } from '../../../src/audit/journal-segments.ts';
import { encodeLine } from '../../../src/audit/receipt-line.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import type { JournaledReceipt } from '../../../src/services/trail.ts';
import { receiptRecord, TIME } from '../../support/storage/records.ts';

const AWAY = new Unavailable('DATABASE_UNAVAILABLE', 'away', 1_000, {}, { cause: new Error('connect ECONNREFUSED') });
const DAMAGED = 'damaged';

/** A line of a receipt of its own, and its render_id. */
function line(): { id: string; text: string } {
  const receipt = receiptRecord(TIME);
  return { id: receipt.renderId, text: encodeLine(receipt, undefined).trimEnd() };
}

function lines(count: number) {
  return Array.from({ length: count }, line);
}

/** A slot's journal in memory; a line is one byte long. */
class FakeSource implements DrainSource {
  readonly #lines: string[];
  readonly #backlog: number;
  #read = 0;
  /** The sizes of the readings so far. */
  readonly readings: number[] = [];
  drainedTo = 0;
  completed = false;
  closed = false;
  torn = 0;
  failure: Error | undefined;

  constructor(texts: readonly string[] = [], backlog = 0) {
    this.#lines = [...texts];
    this.#backlog = backlog;
  }

  add(...texts: string[]): void {
    this.#lines.push(...texts);
  }

  backlog(): Promise<number> {
    return Promise.resolve(this.#backlog);
  }

  async read(maxLines: number): Promise<Reading | undefined> {
    if (this.failure) throw this.failure;
    const entries = this.#lines.slice(this.#read, this.#read + maxLines).map((text) => ({ line: text }));
    const { torn } = this;
    if (entries.length === 0 && torn === 0) return undefined;
    this.torn = 0;
    this.#read += entries.length;
    this.readings.push(entries.length);
    return { entries, end: { segment: 1, offset: this.#read }, torn };
  }

  complete(): void {
    this.completed = true;
  }

  async drained({ offset }: Position): Promise<number> {
    if (this.failure) throw this.failure;
    const freed = offset - this.drainedTo;
    this.drainedTo = offset;
    return freed;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

interface FakeBatch {
  readonly receipts: readonly JournaledReceipt[];
}

/** A chain that keeps what it is given, unless it is away or refuses receipts. */
class FakeChain implements DrainChain<FakeBatch> {
  readonly #known = new Set<string>();
  /** The sizes of the batches that were tried. */
  readonly tried: number[] = [];
  readonly prepared: number[] = [];
  readonly refused = new Set<string>();
  away = false;
  /** Holds a transaction up. */
  gate: Promise<void> = Promise.resolve();
  partitions = 0;
  partitionsFail = false;
  closed = false;

  get ids(): string[] {
    return [...this.#known];
  }

  prepare(receipts: readonly JournaledReceipt[]): FakeBatch[] {
    this.prepared.push(receipts.length);
    return receipts.length > 0 ? [{ receipts }] : [];
  }

  async append({ receipts }: FakeBatch): Promise<{ chained: number }> {
    this.tried.push(receipts.length);
    await this.gate;
    if (this.away) throw AWAY;
    const ids = receipts.map(({ receipt }) => receipt.renderId);
    if (ids.some((id) => this.refused.has(id))) throw Object.assign(new Error('bad value'), { code: '22P05' });
    const chained = ids.filter((id) => !this.#known.has(id)).length;
    for (const id of ids) this.#known.add(id);
    return { chained };
  }

  async ensurePartitions(): Promise<void> {
    if (this.partitionsFail) throw AWAY;
    this.partitions += 1;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** A journal of a worker that is gone. */
class Orphan extends FakeSource {
  readonly directory = '/journal/1';
  released = false;

  release(): void {
    this.released = true;
  }
}

let time: number;
let chain: FakeChain;
let own: FakeSource;
let orphans: Orphan[];
let letters: DeadLetter[];
let diskFull: boolean;
let events: DrainEvent[];
let drainer: Drainer<FakeBatch>;
let running: Promise<void> | undefined;

/** Lets everything happen that needs no time. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 150; turn += 1) await new Promise(setImmediate);
}

async function pass(ms: number): Promise<void> {
  time += ms;
  mock.timers.tick(ms);
  await turns();
}

async function start(): Promise<void> {
  drainer.own(own);
  running = drainer.run();
  await turns();
}

/** The events of a kind so far. */
function told<K extends DrainEvent['kind']>(kind: K): Extract<DrainEvent, { kind: K }>[] {
  return events.filter((event): event is Extract<DrainEvent, { kind: K }> => event.kind === kind);
}

function setUp(): void {
  mock.timers.enable({ apis: ['setTimeout'] });
  time = 0;
  chain = new FakeChain();
  own = new FakeSource();
  orphans = [];
  letters = [];
  diskFull = false;
  events = [];
  running = undefined;
  drainer = new Drainer({
    chain,
    setAside: async (added) => {
      if (diskFull) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      letters.push(...added);
    },
    adopt: () => orphans.splice(0),
    tell: (event) => events.push(event),
    now: () => time,
    random: () => 1,
  });
}

async function tearDown(): Promise<void> {
  drainer.stop(0);
  chain.gate = Promise.resolve();
  for (let count = 0; count < 5; count += 1) await pass(10_000);
  await running;
  mock.timers.reset();
}

/** Each test of a suite has a drainer of its own. */
function afresh(): void {
  beforeEach(setUp);
  afterEach(tearDown);
}

describe('Receipts pass through a local journal', () => {
  afresh();

  it('and are drained five times a second', async () => {
    const [first, second] = [line(), line()];
    own.add(first.text);
    await start();
    assert.deepEqual(chain.ids, [first.id]);
    own.add(second.text);
    await pass(199);
    assert.deepEqual(chain.ids, [first.id]);
    await pass(1);
    assert.deepEqual(chain.ids, [first.id, second.id]);
  });

  it('or at once if somebody asks, during a transaction too', async () => {
    const [first, second, third] = [line(), line(), line()];
    const { promise, resolve } = Promise.withResolvers<void>();
    await start();
    chain.gate = promise;
    own.add(first.text);
    drainer.flush();
    await turns();
    own.add(second.text);
    drainer.flush();
    own.add(third.text);
    resolve();
    await turns();
    assert.deepEqual(chain.ids, [first.id, second.id, third.id]);
  });

  it('and only then are they given up, and told of', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    chain.gate = promise;
    own.add(line().text, line().text);
    own.torn = 1;
    await start();
    assert.deepEqual([own.drainedTo, told('settled')], [0, []]);
    resolve();
    await turns();
    assert.equal(own.drainedTo, 2);
    assert.deepEqual(told('settled'), [
      {
        kind: 'settled',
        end: { segment: 1, offset: 2 },
        receipts: 2,
        backlog: 0,
        chained: 2,
        seconds: 0,
        freedBytes: 2,
        oldest: undefined,
        torn: 1,
        deadLetters: [],
      },
    ]);
  });

  it('in large batches while many wait, one of them prepared while another one commits', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    chain.gate = promise;
    own.add(...lines(12_000).map(({ text }) => text));
    await start();
    assert.deepEqual([chain.prepared, chain.tried], [[5_000, 5_000], [5_000]]);
    resolve();
    await turns();
    assert.deepEqual(own.readings, [5_000, 5_000, 2_000]);
    assert.deepEqual([chain.tried, chain.ids.length], [[5_000, 5_000, 2_000], 12_000]);
  });

  it('and few lines that are long do not pass for the last ones', async () => {
    const receipt = receiptRecord(TIME);
    const long = encodeLine(receipt, JSON.stringify({ fallbackText: 'x'.repeat(2 ** 20) })).trimEnd();
    own.add(long);
    own.read = async () => {
      own.add(line().text);
      return FakeSource.prototype.read.call(own, 1);
    };
    await start();
    assert.deepEqual(chain.tried, [1, 1]);
  });
});

describe('Receipts reach the chain whatever is killed when', () => {
  afresh();

  it('while the database is away it is tried again, ever less often, and the place is kept', async () => {
    chain.away = true;
    const waiting = line();
    own.add(waiting.text);
    await start();
    const delays = [];
    for (let tries = chain.tried.length; delays.length < 8; tries = chain.tried.length) {
      const since = time;
      while (chain.tried.length === tries) await pass(100);
      delays.push(time - since);
    }
    assert.deepEqual(delays, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    chain.away = false;
    own.add(line().text);
    for (const ms of [100, 4_900, 200]) await pass(ms);
    assert.deepEqual([chain.ids.length, chain.ids[0]], [2, waiting.id]);
    assert.equal(told('settled')[0]!.end?.offset, 1);
  });

  it('and says since when receipts wait', async () => {
    chain.away = true;
    own.add(line().text);
    await start();
    await pass(100);
    const away = { kind: 'away', reason: 'connect ECONNREFUSED', backlog: 0, oldest: TIME.getTime() };
    assert.deepEqual(events, [away, away]);
  });

  it('the pauses begin anew after a success', async () => {
    chain.away = true;
    own.add(line().text);
    await start();
    for (const ms of [100, 200, 400]) await pass(ms);
    chain.away = false;
    await pass(800);
    chain.away = true;
    own.add(line().text);
    await pass(200);
    const tries = chain.tried.length;
    await pass(100);
    assert.equal(chain.tried.length, tries + 1);
  });

  it('whoever asks shortens a pause, but not below 100 ms', async () => {
    chain.away = true;
    own.add(line().text);
    await start();
    for (const ms of [100, 200, 400]) await pass(ms);
    const tries = chain.tried.length;
    drainer.flush();
    await pass(99);
    assert.equal(chain.tried.length, tries);
    await pass(1);
    assert.equal(chain.tried.length, tries + 1);
    await pass(200);
    drainer.flush();
    await turns();
    assert.equal(chain.tried.length, tries + 2);
  });

  it('what cannot be read or unlinked is tried again', async () => {
    const waiting = line();
    own.add(waiting.text);
    own.failure = Object.assign(new Error('read'), { code: 'EIO' });
    await start();
    assert.deepEqual(told('failed'), [{ kind: 'failed', work: 'read', reason: 'EIO: read' }]);
    own.failure = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    chain.gate = promise;
    await pass(200);
    own.failure = Object.assign(new Error('unlink'), { code: 'EACCES' });
    resolve();
    await turns();
    assert.deepEqual(chain.ids, [waiting.id]);
    assert.deepEqual(told('failed').at(-1), { kind: 'failed', work: 'unlink', reason: 'EACCES: unlink' });
    assert.equal(told('settled')[0]!.freedBytes, 0);
  });
});

describe('A bad receipt never blocks the rest', () => {
  afresh();

  it('of a hundred, two that the database refuses become dead letters', async () => {
    const all = lines(100);
    const bad = [all[17]!, all[80]!];
    for (const { id } of bad) chain.refused.add(id);
    own.add(...all.map(({ text }) => text));
    await start();
    assert.deepEqual(chain.ids, all.filter((each) => !bad.includes(each)).map(({ id }) => id));
    assert.deepEqual(letters, bad.map(({ id, text }) => ({ renderId: id, reason: '22P05: bad value', line: text })));
    const [settled] = told('settled');
    assert.deepEqual([settled!.end?.offset, settled!.receipts, settled!.chained], [100, 100, 98]);
    assert.deepEqual(settled!.deadLetters, bad.map(({ id }) => ({ renderId: id, reason: '22P05: bad value' })));
    assert(chain.tried.length < 40);
  });

  it('a damaged line becomes one at once', async () => {
    const sound = line();
    own.add(DAMAGED, sound.text);
    await start();
    assert.deepEqual(chain.ids, [sound.id]);
    assert.deepEqual(letters, [{ renderId: '', reason: 'the line is damaged', line: DAMAGED }]);
    own.add(DAMAGED);
    await pass(200);
    assert.deepEqual([letters.length, told('settled').at(-1)!.end?.offset], [2, 3]);
  });

  it('and a dead letter that cannot be kept is not given up', async () => {
    diskFull = true;
    own.add(DAMAGED);
    await start();
    assert.deepEqual(told('failed'), [{ kind: 'failed', work: 'set aside', reason: 'ENOSPC: no space left' }]);
    const later = line();
    own.add(later.text);
    await pass(200);
    assert.deepEqual(chain.ids, [later.id]);
    assert.equal(own.drainedTo, 0);
    diskFull = false;
    await pass(200);
    assert.deepEqual([letters.length, own.drainedTo], [1, 2]);
  });

  it('nor does it keep the others, and an adopted journal is not let go before it is kept', async () => {
    diskFull = true;
    const sound = line();
    const other = new Orphan([DAMAGED, sound.text], 2);
    orphans.push(other);
    await start();
    assert.deepEqual(chain.ids, [sound.id]);
    assert.deepEqual([other.drainedTo, other.released], [0, false]);
    diskFull = false;
    await pass(200);
    assert.deepEqual([letters.length, other.drainedTo, other.released], [1, 2, true]);
  });

  it('an outage among the halves is waited for', async () => {
    const all = lines(4);
    chain.refused.add(all[2]!.id);
    own.add(...all.map(({ text }) => text));
    chain.append = async (batch) => {
      chain.away = chain.tried.length === 2;
      return FakeChain.prototype.append.call(chain, batch);
    };
    await start();
    assert.equal(chain.ids.length, 2);
    await pass(100);
    assert.deepEqual([chain.ids.length, letters.length], [3, 1]);
  });
});

describe("A dead worker's journal is adopted", () => {
  afresh();

  it('at the start and every five seconds, drained by turns with its own, and released', async () => {
    const orphan = new Orphan(lines(6_000).map(({ text }) => text), 6_000);
    orphans.push(orphan);
    own.add(line().text);
    await start();
    assert.deepEqual(told('adopted'), [{ kind: 'adopted', directory: '/journal/1' }]);
    assert.deepEqual(chain.tried, [5_000, 1, 1_000]);
    assert.deepEqual(
      told('settled').map(({ end, receipts, backlog, freedBytes }) => [end?.offset, receipts, backlog, freedBytes]),
      [[undefined, 0, 1_000, 0], [1, 1, 1_000, 1], [undefined, 0, 0, 0]],
    );
    assert.deepEqual([orphan.completed, orphan.closed, orphan.released], [true, true, true]);
    const later = new Orphan([line().text], 1);
    orphans.push(later);
    await pass(4_999);
    assert.equal(later.released, false);
    await pass(200);
    await pass(200);
    assert.equal(later.released, true);
    assert.equal(chain.ids.length, 6_002);
  });

  it('lines of the former owner of its own slot do not count as its own', async () => {
    own = new FakeSource([line().text, line().text], 2);
    own.add(line().text);
    await start();
    assert.deepEqual(told('settled').map(({ receipts, backlog }) => [receipts, backlog]), [[1, 0]]);
  });

  it('a directory that cannot be read is looked at again', async () => {
    const orphan = new Orphan([line().text]);
    Object.defineProperty(orphans, 'splice', {
      configurable: true,
      value: () => {
        throw Object.assign(new Error('scandir'), { code: 'ENOENT' });
      },
    });
    await start();
    assert.deepEqual(told('failed'), [{ kind: 'failed', work: 'adopt', reason: 'ENOENT: scandir' }]);
    Reflect.deleteProperty(orphans, 'splice');
    orphans.push(orphan);
    await pass(5_000);
    await pass(200);
    assert.equal(orphan.released, true);
  });
});

describe('Receipts lie in partitions of their day', () => {
  afresh();

  it('which are made ahead when it is asked for', async () => {
    await start();
    drainer.makePartitions();
    await turns();
    assert.equal(chain.partitions, 1);
    chain.partitionsFail = true;
    drainer.makePartitions();
    await turns();
    assert.deepEqual(told('failed'), [{ kind: 'failed', work: 'make partitions', reason: 'connect ECONNREFUSED' }]);
  });
});

describe('Draining loses no request', () => {
  afresh();

  it('what is there is drained before the end', async () => {
    await start();
    own.add(...lines(7_000).map(({ text }) => text));
    drainer.stop(1_000);
    await turns();
    await running;
    assert.deepEqual([chain.ids.length, own.drainedTo], [7_000, 7_000]);
    assert.deepEqual([own.completed, own.closed, chain.closed, told('ended').length], [true, true, true, 1]);
  });

  it('while the database is away until the time is over, and what is left stays', async () => {
    chain.away = true;
    const orphan = new Orphan([line().text], 1);
    orphans.push(orphan);
    own.add(DAMAGED);
    await start();
    drainer.stop(1_000);
    await pass(100);
    await pass(899);
    assert.equal(chain.closed, false);
    await pass(1);
    await pass(100);
    await running;
    assert.deepEqual([chain.closed, orphan.released, orphan.drainedTo, own.drainedTo], [true, true, 0, 0]);
  });
});
