import assert from 'node:assert/strict';
import { once, EventEmitter, getEventListeners } from 'node:events';
import { mock } from 'node:test';
import { Unavailable } from '../../../src/domain/errors.ts';
import { RouteMap } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import { RouteFeed, type ChangeLog, type LoggedChange, type RouteFollower } from '../../../src/routing/route-feed.ts';
import { until } from '../../support/until.ts';

const ROOT = tenantDocument({ parent: '', displayName: '', variables: {}, capturePolicy: 'VARIABLES' }).text;

/** A database whose log, notifications and connections the test controls. */
class FakeDatabase {
  changes: LoggedChange[] = [change(1, { tenant: 'default', tenantDocument: ROOT })];
  reachable = true;
  notifies = true;
  loads = 0;
  /** Opening takes until this. */
  opening = Promise.resolve();
  opened = 0;
  /** Nobody answers whoever connects, until they give up. */
  hanging = false;
  readonly connections = new Set<{ onSeq: (seq: number) => void; onLost: (error: Error) => void }>();

  /** What happens before a page is answered. */
  beforePage = () => {};
  /** What happens before the pointers are. */
  beforeLoad = async () => {};

  readonly open = async (
    onSeq: (seq: number) => void,
    onLost: (error: Error) => void,
    signal: AbortSignal,
  ): Promise<ChangeLog> => {
    this.opened += 1;
    if (this.hanging) {
      await once(signal, 'abort');
      throw new Error('given up');
    }
    await this.opening;
    if (!this.reachable) throw new Error('refused');
    const connection = { onSeq, onLost };
    this.connections.add(connection);
    const alive = () => {
      if (!this.reachable || !this.connections.has(connection)) throw new Error('connection lost');
    };
    return {
      load: async () => {
        alive();
        this.loads += 1;
        await this.beforeLoad();
        const { seq, chainHash } = this.changes.at(-1)!;
        const tenants = [{ tenant: 'default', document: ROOT }];
        return new RouteMap({ seq, chainHash, tenants, bundles: [], channels: [], activations: [] });
      },
      from: async (seq, limit) => {
        alive();
        this.beforePage();
        return this.changes.filter((each) => each.seq >= seq).slice(0, limit);
      },
      close: async () => {
        this.connections.delete(connection);
      },
    };
  };

  write(overrides: Partial<LoggedChange> = {}): number {
    const seq = this.changes.at(-1)!.seq + 1;
    this.changes.push(change(seq, overrides));
    if (this.notifies) for (const { onSeq } of this.connections) onSeq(seq);
    return seq;
  }

  /** Cuts every connection, and tells the other side. */
  cut(): void {
    const cut = [...this.connections];
    this.connections.clear();
    for (const { onLost } of cut) onLost(new Error('terminated'));
  }
}

function change(seq: number, overrides: Partial<LoggedChange>): LoggedChange {
  const tenant = `t${seq}`;
  return {
    seq,
    chainHash: `c${seq}`,
    time: new Date(),
    action: 'CREATE',
    entityKind: 'TENANT',
    tenant,
    entityId: tenant,
    detail: {},
    tenantDocument: tenantDocument({ parent: 'default', displayName: '', variables: {}, capturePolicy: 'FULL' }).text,
    ...overrides,
  };
}

/** Lets everything go on that waits for no timer. */
async function turns(): Promise<void> {
  for (let count = 0; count < 5; count += 1) await new Promise(setImmediate);
}

/** What the feed tells, as events. */
class Observer extends EventEmitter {
  readonly reloads: string[] = [];
  readonly heads: number[] = [];
  propagations = 0;

  propagated(seconds: number): void {
    assert(seconds >= 0);
    this.propagations += 1;
  }

  applied(seq: number): void {
    this.emit('applied', seq);
  }

  head(seq: number): void {
    this.heads.push(seq);
    this.emit('head', seq);
  }

  reloaded(reason: string): void {
    this.reloads.push(reason);
    this.emit('reloaded', reason);
  }

  disconnected(error: Error): void {
    this.emit('disconnected', error.message);
  }
}

describe('the route feed', () => {
  let database: FakeDatabase;
  let observer: Observer;
  let feed: RouteFeed;
  let later: number;

  beforeEach(() => {
    database = new FakeDatabase();
    observer = new Observer();
    later = 0;
    feed = new RouteFeed(database.open, observer, () => Date.now() + later);
  });

  afterEach(() => feed.stop());

  const inAMinute = () => Date.now() + 60_000;

  describe('The map loads in one snapshot', () => {
    it('at the start, with the head', async () => {
      database.write();
      await feed.start();
      assert.deepEqual([feed.map.seq, feed.map.chainHash, database.loads], [2, 'c2', 1]);
      assert.deepEqual(observer.reloads, ['start']);
    });

    it('as soon as the database can be reached', async () => {
      database.reachable = false;
      const refused = once(observer, 'disconnected');
      const started = feed.start();
      assert.deepEqual(await refused, ['refused']);
      database.reachable = true;
      await started;
      assert.equal(feed.map.seq, 1);
    });

    it('leaves no connection that opens while the feed stops', async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      database.opening = promise;
      const started = assert.rejects(feed.start(), { name: 'AbortError' });
      const stopped = feed.stop();
      resolve();
      await stopped;
      await started;
      assert.deepEqual([database.opened, database.connections.size, database.loads], [1, 0, 0]);
    });

    it('opens no connection once the feed has stopped', async () => {
      await feed.stop();
      await assert.rejects(feed.start(), { name: 'AbortError' });
      assert.equal(database.opened, 0);
    });

    it('and until then there are no pointers', () => {
      assert.equal(feed.loaded, undefined);
      assert.throws(() => feed.map, Unavailable);
    });

    it('unless the feed is stopped before', async () => {
      database.reachable = false;
      const refused = once(observer, 'disconnected');
      const started = feed.start();
      await refused;
      await feed.stop();
      await assert.rejects(started, { name: 'AbortError' });
    });
  });

  describe('Replicas follow by notification', () => {
    it('applies what was written, and measures how long it took', async () => {
      await feed.start();
      const seq = database.write();
      assert.equal(await feed.applied(seq, inAMinute()), true);
      assert.equal(feed.map.scope('t2').known, true);
      assert.equal(observer.propagations, 1);
      database.write({ entityKind: 'TEMPLATE' });
      assert.equal(await feed.applied(3, inAMinute()), true);
      assert.equal(observer.propagations, 1);
    });

    it('applies more changes than one fetch brings', async () => {
      await feed.start();
      for (let count = 0; count < 2_500; count += 1) database.write();
      assert.equal(await feed.applied(2_501, inAMinute()), true);
      assert.equal(observer.propagations, 2_500);
    });

    it('and tells its followers before those who wait', async () => {
      const told: string[] = [];
      const follower: RouteFollower = {
        loaded: (map) => told.push(`loaded ${map.seq}`),
        applied: (each, map) => told.push(`applied ${each.seq} ${each.tenant} ${map.seq}`),
      };
      const followed = new RouteFeed(database.open, observer, Date.now, [follower]);
      await followed.start();
      const waiting = followed.applied(3, inAMinute()).then(() => told.push('seen'));
      database.write();
      database.write();
      await waiting;
      assert.deepEqual(told, ['loaded 1', 'applied 2 t2 2', 'applied 3 t3 3', 'seen']);
      await followed.stop();
    });

    it('takes a notification that says nothing, or a lie, for one that there is something to fetch', async () => {
      await feed.start();
      database.notifies = false;
      for (const nonsense of [NaN, 2 ** 53, 0.5, 2 ** 53 - 1]) {
        const seq = database.write();
        const applied = once(observer, 'applied');
        for (const { onSeq } of database.connections) onSeq(nonsense);
        assert.deepEqual(await applied, [seq]);
      }
      assert.equal(database.loads, 1);
    });

    it('loses no notification that comes while it fetches', async () => {
      await feed.start();
      database.write();
      await Promise.resolve();
      database.write();
      assert.equal(await feed.applied(3, inAMinute()), true);
    });
  });

  describe('The writer sees its own write', () => {
    it('fetches what it waits for, notified or not', async () => {
      await feed.start();
      database.notifies = false;
      const seq = database.write();
      const [, second] = await Promise.all([feed.applied(seq, inAMinute()), feed.applied(seq, inAMinute())]);
      assert.equal(second, true);
      assert.equal(await feed.applied(seq, 0), true);
    });

    it('waits no longer than asked', async () => {
      await feed.start();
      assert.equal(await feed.applied(5, Date.now() + 20), false);
      assert.equal(await feed.applied(5, Date.now() - 1), false);
    });

    it('gives up when the feed stops', async () => {
      await feed.start();
      const waiting = feed.applied(5, inAMinute());
      await feed.stop();
      assert.equal(await waiting, false);
      assert.equal(await feed.applied(5, inAMinute()), false);
    });

    it('gives up at once when the caller does', async () => {
      await feed.start();
      const caller = new AbortController();
      const patient = feed.applied(2, inAMinute());
      const waiting = feed.applied(2, inAMinute(), caller.signal);
      assert.equal(getEventListeners(caller.signal, 'abort').length, 1);
      caller.abort();
      assert.equal(await waiting, false);
      assert.equal(getEventListeners(caller.signal, 'abort').length, 0);
      assert.equal(await feed.applied(2, inAMinute(), caller.signal), false);
      database.write();
      assert.equal(await patient, true);
    });

    it('leaves no timer behind when the caller gives up', async () => {
      await feed.start();
      const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
      const caller = new AbortController();
      const before = timers();
      const waiting = feed.applied(2, inAMinute(), caller.signal);
      assert.equal(timers(), before + 1);
      caller.abort();
      assert.equal(timers(), before);
      assert.equal(await waiting, false);
    });

    it('no longer listens to the caller once it is answered', async () => {
      await feed.start();
      const { signal } = new AbortController();
      const waits = [feed.applied(2, inAMinute(), signal), feed.applied(3, Date.now() + 20, signal)];
      database.write();
      assert.deepEqual(await Promise.all(waits), [true, false]);
      assert.equal(getEventListeners(signal, 'abort').length, 0);
    });

    it('waits for a deadline that is farther away than a timer can be set', async () => {
      await feed.start();
      const applied = feed.applied(2, Date.now() + 2 ** 32);
      assert.equal(await feed.applied(2, Date.now() + 20), false);
      database.write();
      assert.equal(await applied, true);
    });
  });

  describe('A silent connection is caught up', () => {
    it('reads the log every second, whatever is notified', async () => {
      await feed.start();
      database.notifies = false;
      const applied = once(observer, 'applied');
      database.write();
      assert.deepEqual(await applied, [2]);
    });

    it('connects again, and applies what it missed', async () => {
      await feed.start();
      database.reachable = false;
      const lost = once(observer, 'disconnected');
      database.cut();
      assert.deepEqual(await lost, ['terminated']);
      database.write();
      assert.deepEqual(await once(observer, 'disconnected'), ['refused']);
      const applied = once(observer, 'applied');
      database.reachable = true;
      assert.deepEqual(await applied, [2]);
      assert.equal(database.loads, 1);
    });

    it('leaves no connection that opens again while the feed stops', async () => {
      await feed.start();
      const { promise, resolve } = Promise.withResolvers<void>();
      database.opening = promise;
      database.cut();
      await until('it opens', () => database.opened === 2);
      const stopped = feed.stop();
      resolve();
      await stopped;
      assert.equal(database.connections.size, 0);
    });

    it('catches up though the connection is lost between two pages', async () => {
      await feed.start();
      database.notifies = false;
      for (let count = 0; count < 2_500; count += 1) database.write();
      const lost: string[] = [];
      observer.on('disconnected', (message: string) => lost.push(message));
      database.beforePage = () => {
        database.beforePage = () => {};
        database.cut();
      };
      assert.equal(await feed.applied(2_501, inAMinute()), true);
      assert.deepEqual(lost, ['terminated']);
      assert.equal(database.loads, 1);
    });

    describe('when a connection cannot be had', () => {
      beforeEach(async () => {
        feed = new RouteFeed(database.open, observer, () => Date.now(), [], () => Date.now());
        await feed.start();
        mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: Date.now() + 60_000 });
      });

      afterEach(() => mock.timers.reset());

      it('tries at once, then every 250 ms, however many wait', async () => {
        database.reachable = false;
        database.cut();
        const waiting = Array.from({ length: 50 }, () => feed.applied(9, inAMinute()));
        for (const [ms, opened] of [[0, 2], [249, 2], [1, 3], [249, 3], [1, 4]] as const) {
          mock.timers.tick(ms);
          await turns();
          assert.equal(database.opened, opened);
          for (let count = 0; count < 50; count += 1) waiting.push(feed.applied(9, inAMinute()));
        }
        await feed.stop();
        assert(!(await Promise.all(waiting)).includes(true));
      });

      it('does not wait for an attempt that hangs, and leaves none behind', async () => {
        database.notifies = false;
        database.hanging = true;
        database.cut();
        for (const [ms, opened] of [[0, 2], [499, 2], [1, 3]] as const) {
          mock.timers.tick(ms);
          await turns();
          assert.equal(database.opened, opened);
        }
        database.hanging = false;
        database.write();
        mock.timers.tick(500);
        await turns();
        assert.deepEqual([database.opened, database.connections.size, feed.map.seq], [4, 1, 2]);
      });

      it('stops at once though an attempt hangs', async () => {
        database.hanging = true;
        database.cut();
        mock.timers.tick(0);
        await feed.stop();
        assert.equal(database.opened, 2);
      });

      it('does not connect faster to a database that lets it in and throws it out', async () => {
        database.beforePage = () => database.cut();
        database.cut();
        for (const [ms, opened] of [[0, 2], [249, 2], [1, 3]] as const) {
          mock.timers.tick(ms);
          await turns();
          assert.equal(database.opened, opened);
        }
      });
    });

    it('does not take the end of its own connection for a loss', async () => {
      await feed.start();
      const lost: string[] = [];
      observer.on('disconnected', (message: string) => lost.push(message));
      let stopped: Promise<void> | undefined;
      database.beforePage = () => {
        stopped = feed.stop();
        throw new Error('connection lost');
      };
      assert.equal(await feed.applied(2, inAMinute()), false);
      await stopped;
      assert.deepEqual([lost, database.opened], [[], 1]);
    });

    it('takes a failed query for a lost connection', async () => {
      await feed.start();
      database.connections.clear();
      const seq = database.write();
      const lost = once(observer, 'disconnected');
      const applied = feed.applied(seq, inAMinute());
      assert.deepEqual(await lost, ['connection lost']);
      assert.equal(await applied, true);
    });
  });

  describe('An unverified head makes answers stale', () => {
    it('knows when the pointers were last those of the database', async () => {
      await feed.start();
      const before = feed.verifiedAt;
      later = 10_000;
      database.notifies = false;
      const seq = database.write();
      await feed.applied(seq, inAMinute());
      await feed.stop();
      assert(feed.verifiedAt >= before + 10_000);
    });

    it('by the clock that says more: one may be set back, the other may stand still', async () => {
      let wall = 1_000_000;
      let monotonic = 50;
      const replica = new RouteFeed(database.open, observer, () => wall, [], () => monotonic);
      assert.equal(replica.unverifiedMs(), Infinity);
      await replica.start();
      await replica.stop();
      assert.deepEqual([replica.verifiedAt, replica.unverifiedMs()], [1_000_000, 0]);
      wall += 100;
      monotonic += 90;
      assert.equal(replica.unverifiedMs(), 100);
      wall -= 3_600_000;
      monotonic += 10;
      assert.equal(replica.unverifiedMs(), 100);
    });
  });

  describe('A replica shows how far it is', () => {
    it('by the newest change that it knows of, applied or not', async () => {
      await feed.start();
      assert.deepEqual(observer.heads, [1]);
      database.write();
      assert.deepEqual(observer.heads, [1, 2]);
      assert.equal(await feed.applied(2, inAMinute()), true);
      await until('it has read the log to its end', () => observer.heads.length === 3);
      assert.deepEqual(observer.heads, [1, 2, 2]);
    });

    it('whatever its callers wait for', async () => {
      await feed.start();
      void feed.applied(1_000, inAMinute());
      await until('it has looked', () => observer.heads.length === 2);
      assert.deepEqual(observer.heads, [1, 1]);
    });

    it('and forgets a change that was notified and is not there', async () => {
      await feed.start();
      for (const { onSeq } of database.connections) onSeq(1_000);
      await until('it has looked', () => observer.heads.length === 3);
      assert.deepEqual(observer.heads, [1, 1_000, 1]);
    });
  });

  describe('A replica off the log reloads', () => {
    it('when a change cannot be applied', async () => {
      await feed.start();
      database.notifies = false;
      database.write();
      database.write();
      database.changes.splice(1, 1);
      assert.equal(await feed.applied(3, inAMinute()), true);
      assert.deepEqual(observer.reloads, ['start', 'change 3 cannot be applied: change 3 cannot follow change 1']);
    });

    it('and answers from what it holds until the new pointers are whole, however often loading fails', async () => {
      database.write();
      await feed.start();
      const held = feed.map;
      const loading = new EventEmitter();
      let answer = Promise.withResolvers<void>();
      database.beforeLoad = () => {
        loading.emit('begun');
        return answer.promise;
      };
      database.changes[1] = change(2, { chainHash: 'other' });
      let begun = once(loading, 'begun');
      const applied = feed.applied(3, inAMinute());
      await begun;
      begun = once(loading, 'begun');
      answer.reject(new Error('out of memory'));
      answer = Promise.withResolvers();
      await begun;
      assert.equal(feed.map, held);
      database.write();
      answer.resolve();
      assert.equal(await applied, true);
      assert.deepEqual([feed.map.seq, feed.map.chainHash, database.loads], [3, 'c3', 3]);
    });

    it('when its last change is not in the log', async () => {
      database.write();
      await feed.start();
      const reloaded = once(observer, 'reloaded');
      database.changes = [database.changes[0]!];
      void feed.applied(3, inAMinute());
      assert.deepEqual(await reloaded, ['change 2 is not in the log as it was applied']);
      assert.equal(feed.map.seq, 1);
    });

    it('when its last change has another chain hash', async () => {
      database.write();
      await feed.start();
      database.changes[1] = change(2, { chainHash: 'other' });
      database.write();
      assert.equal(await feed.applied(3, inAMinute()), true);
      assert.deepEqual(observer.reloads, ['start', 'change 2 is not in the log as it was applied']);
      assert.equal(feed.map.chainHash, 'c3');
    });
  });
});
