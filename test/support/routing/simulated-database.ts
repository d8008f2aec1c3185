import type { Scheduler } from 'fast-check';
import { Unavailable } from '../../../src/domain/errors.ts';
import { RouteMap } from '../../../src/domain/route-map.ts';
import type { ChangeLog, OpenChangeLog } from '../../../src/routing/route-feed.ts';
import type { RegistryHistory } from './registry-history.ts';
import { rowsOf } from './registry-model.ts';

/** When a connection gives up a query. */
const QUERY_TIMEOUT_MS = 2_000;
/** How often something else may happen before a look-up is answered. */
const LOOK_UP_STEPS = 4;

/** One replica's way to the database. */
interface Connection {
  readonly replica: number;
  /** Fails what is under way when the replica learns that the connection is gone. */
  readonly underWay: Set<(error: Error) => void>;
  readonly onSeq: (seq: number) => void;
  readonly onLost: (error: Error) => void;
  /** Nothing gets through any more, and nobody is told. */
  stuck: boolean;
  /** The database listens, and notifies. */
  served: boolean;
  /** Either side has given it up. */
  lost: boolean;
  opened: boolean;
}

/**
 * A database whose every message, on the way there as on the way back, arrives when the scheduler says: early, late, in
 * another order, or never.
 */
export class SimulatedDatabase {
  readonly #scheduler: Scheduler;
  readonly #history: RegistryHistory;
  readonly #connections = new Set<Connection>();
  /** By replica: how many of its next notifications are lost. */
  readonly #lostNotifications = new Map<number, number>();
  /** The replicas whose next connection hangs while it opens. */
  readonly #hangingOpens = new Set<number>();
  #away = false;

  constructor(scheduler: Scheduler, history: RegistryHistory) {
    this.#scheduler = scheduler;
    this.#history = history;
  }

  /** Notifies of the last change. */
  notify(): void {
    const { seq } = this.#history.head;
    for (const connection of this.#connections) {
      if (!connection.served) continue;
      const lost = this.#lostNotifications.get(connection.replica) ?? 0;
      if (lost > 0) this.#lostNotifications.set(connection.replica, lost - 1);
      else this.#send(connection, `notification of ${seq}`, () => connection.onSeq(seq));
    }
  }

  loseNotifications(replica: number, count: number): void {
    this.#lostNotifications.set(replica, count);
  }

  /** Ends a replica's connections; it learns so when the news arrives. */
  cut(replica: number): void {
    for (const connection of this.#connections) if (connection.replica === replica) this.#end(connection);
  }

  /** Lets nothing through on a replica's connections any more, in either direction; nobody is told. */
  hang(replica: number): void {
    for (const connection of this.#connections) if (connection.replica === replica) connection.stuck = true;
  }

  /** The replica's next connection hangs while it opens. */
  hangNextOpen(replica: number): void {
    this.#hangingOpens.add(replica);
  }

  /** Ends all connections, and refuses new ones until it is back. */
  leave(): void {
    this.#away = true;
    for (const connection of this.#connections) this.#end(connection);
  }

  comeBack(): void {
    this.#away = false;
  }

  get away(): boolean {
    return this.#away;
  }

  /** Goes back to an earlier change, as a restore or a failover to a standby that lags does. */
  restore(seq: number): void {
    this.#history.restore(seq);
    for (const connection of this.#connections) this.#end(connection);
  }

  /** From now on everything arrives, but for what hangs already. */
  heal(): void {
    this.#away = false;
    this.#lostNotifications.clear();
    this.#hangingOpens.clear();
  }

  get hangs(): boolean {
    return [...this.#connections].some(({ stuck }) => stuck);
  }

  /** How a replica opens its connections. */
  openFor(replica: number): OpenChangeLog {
    return (onSeq, onLost, signal) => {
      const stuck = this.#hangingOpens.delete(replica);
      const state = { stuck, served: false, lost: false, opened: false };
      const connection: Connection = { replica, onSeq, onLost, underWay: new Set(), ...state };
      this.#connections.add(connection);
      signal.addEventListener('abort', () => {
        if (!connection.opened) this.#lose(connection, new Error('the attempt was given up'));
      });
      const log: ChangeLog = {
        load: () => {
          return this.#ask(connection, 'load', () => {
            const { seq, change, registry } = this.#history.head;
            return () => new RouteMap({ seq, chainHash: change.chainHash, ...rowsOf(registry) });
          });
        },
        from: (seq, limit) => {
          return this.#ask(connection, `from ${seq}`, () => {
            const page = this.#history.from(seq, limit);
            return () => page;
          });
        },
        close: () => {
          this.#lose(connection, new Error('the connection was closed'));
          return Promise.resolve();
        },
      };
      return this.#ask(connection, 'open', () => {
        if (this.#away) throw new Error('the database is away');
        connection.served = true;
        return () => {
          connection.opened = true;
          return log;
        };
      }).catch((error: Error) => {
        this.#lose(connection, error);
        throw error;
      });
    };
  }

  /**
   * Looks something up on a connection of its own.
   * @throws Unavailable if the database is away when it is to answer
   */
  async lookUp<T>(label: string, read: () => T): Promise<T> {
    for (let step = 1; step <= LOOK_UP_STEPS; step += 1) {
      await this.#scheduler.schedule(Promise.resolve(), `${label}, step ${step}`);
    }
    if (this.#away) throw new Unavailable('DATABASE_UNAVAILABLE', 'the database is away', 1_000);
    return read();
  }

  /** @param read what the database does when it is asked; what it returns gives the answer when that arrives */
  #ask<T>(connection: Connection, what: string, read: () => () => T): Promise<T> {
    if (connection.lost) return Promise.reject(new Error('the connection is lost'));
    return new Promise<T>((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        connection.underWay.delete(fail);
      };
      const fail = (error: Error) => {
        done();
        reject(error);
      };
      const timer = setTimeout(() => fail(new Error(`${what} took too long`)), QUERY_TIMEOUT_MS);
      connection.underWay.add(fail);
      this.#send(connection, `${what} asked`, () => {
        if (what !== 'open' && !connection.served) return;
        try {
          const answer = read();
          this.#send(connection, `${what} answered`, () => {
            done();
            resolve(answer());
          });
        } catch (error) {
          this.#send(connection, `${what} refused`, () => fail(error as Error));
        }
      });
    });
  }

  #send(connection: Connection, label: string, arrive: () => void): void {
    void this.#scheduler.schedule(Promise.resolve(), `replica ${connection.replica}: ${label}`).then(() => {
      if (!connection.lost && !connection.stuck) arrive();
    });
  }

  #end(connection: Connection): void {
    connection.served = false;
    this.#send(connection, 'connection ends', () => {
      const { opened } = connection;
      this.#lose(connection, new Error('the connection was ended'));
      if (opened) connection.onLost(new Error('the connection was ended'));
    });
  }

  #lose(connection: Connection, error: Error): void {
    connection.lost = true;
    connection.served = false;
    this.#connections.delete(connection);
    for (const fail of connection.underWay) fail(error);
  }
}
