import assert from 'node:assert/strict';
import { once, EventEmitter, getEventListeners } from 'node:events';
import { Unavailable } from '../../../src/domain/errors.ts';
import type { RouteSnapshot } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import { RouteFeed, type ChangeLog, type LoggedChange } from '../../../src/routing/route-feed.ts';

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
  readonly connections = new Set<{ onSeq: (seq: number) => void; onLost: (error: Error) => void }>();

  /** What happens before a page is answered. */
  beforePage = () => {};

  readonly open = async (onSeq: (seq: number) => void, onLost: (error: Error) => void): Promise<ChangeLog> => {
    this.opened += 1;
    await this.opening;
    if (!this.reachable) throw new Error('refused');
    const connection = { onSeq, onLost };
    this.connections.add(connection);
    const alive = () => {
      if (!this.reachable || !this.connections.has(connection)) throw new Error('connection lost');
    };
    return {
      load: async (): Promise<RouteSnapshot> => {
        alive();
        this.loads += 1;
        const { seq, chainHash } = this.changes.at(-1)!;
        const tenants = [{ tenant: 'default', document: ROOT }];
        return { seq, chainHash, tenants, bundles: [], channels: [], activations: [] };
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

/** What the feed tells, as events. */
class Observer extends EventEmitter {
  readonly reloads: string[] = [];
  propagations = 0;

  propagated(seconds: number): void {
    assert(seconds >= 0);
    this.propagations += 1;
  }

  applied(seq: number): void {
    this.emit('applied', seq);
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
      void feed.applied(2, inAMinute());
      assert.equal(database.opened, 2);
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
      assert.deepEqual(lost, ['terminated', 'connection lost']);
      assert.equal(database.loads, 1);
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
  });

  describe('A replica off the log reloads', () => {
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
