import assert from 'node:assert/strict';
import { CHANGES, checkHistory, type ChangeRow } from '../../support/chaos/history.ts';
import { Judge } from '../../support/chaos/judge.ts';
import { Ledger } from '../../support/chaos/ledger.ts';
import { Outages } from '../../support/chaos/outages.ts';
import { Random } from '../../support/chaos/random.ts';
import { read } from '../../support/chaos/reader.ts';
import type { Seat } from '../../support/chaos/seat.ts';
import { createWorld, QUESTIONS } from '../../support/chaos/world.ts';
import { Writer } from '../../support/chaos/writer.ts';
import { Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { keyPrefix, testRedisUrl } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const READERS = 4;
const WRITES = 120;

describe('three replicas on one database and one Redis', () => {
  const ledger = new Ledger(() => {});
  const judge = new Judge(ledger, new Outages());
  let database: TestDatabase;
  let replicas: Platen[];

  before(async () => {
    database = await createDatabase();
    const settings = { PLATEN_REDIS_URL: await testRedisUrl(), PLATEN_REDIS_PREFIX: keyPrefix() };
    replicas = await Promise.all([1, 2, 3].map(() => Platen.start(database, settings)));
    await createWorld(replicas[0]!.clients);
    await writeAndRead();
  });

  after(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
    await database.drop();
  });

  /** Two writers on any replica, and readers on each, until enough is written; all that is shown is judged. */
  async function writeAndRead(): Promise<void> {
    const stop = new AbortController();
    const seats: Seat[] = replicas.map(({ clients }, n) => ({ name: `replica ${n}`, clients, up: true }));
    const writers = [0, 1].map((n) => {
      const random = new Random(n);
      return new Writer({ name: `writer-${n}`, seats: () => seats, judge, ledger, random, stop: stop.signal });
    });
    const writing = writers.map((writer, n) => writer.run(n === 0));
    const reading = seats.flatMap((seat, place) =>
      Array.from({ length: READERS }, (_, n) => read(seat, judge, new Random(READERS * place + n), stop.signal)),
    );
    const written = () => writers.flatMap(({ records }) => records);
    try {
      await until('enough is written', () => written().length >= WRITES);
    } finally {
      stop.abort();
      await Promise.all([...writing, ...reading]);
    }
    const changes = await asOwner<ChangeRow>(database, CHANGES);
    checkHistory(changes, judge.answers, QUESTIONS, written(), ledger);
  }

  /** Nothing that was looked at did not hold, and this was looked at. */
  function holds(invariant: Parameters<Ledger['checked']>[0]): void {
    assert(ledger.checked(invariant) > 0);
    assert.deepEqual(ledger.broken(invariant), []);
  }

  describe('Changes apply in order', () => {
    it('shows no reader a revision or a change before one that it was shown', () => holds('neverBack'));

    it('answers every question, at every change, as the change log tells', () => holds('oneHistory'));
  });

  describe('The writer sees its own write', () => {
    it('never shows what was before on the replica that answered the write', () => holds('ownWrite'));

    it('has every write that was answered in the log, once', () => holds('nothingLost'));
  });

  describe('A render waits for the change it must see', () => {
    it('shows nothing from before min_seq on any replica', () => holds('minSeq'));
  });

  describe('Replicas follow by notification', () => {
    it('has every replica answer by the last change, and never STALE', async () => {
      const [head] = await asOwner<{ seq: string }>(database, 'select seq from change_head');
      for (const replica of replicas) {
        await until('it has applied the last change', async () => {
          return (await replica.metric('platen_route_map_applied_seq')) === Number(head!.seq);
        });
      }
      assert.deepEqual(ledger.broken('freshWhenProved'), []);
    });

    it('refuses and loses nothing, and answers in time', () => {
      assert.deepEqual(ledger.violations, []);
    });
  });
});
