import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '../domain/errors.ts';
import { RouteMap, type RouteChange, type RouteSnapshot } from '../domain/route-map.ts';
import type { Routes } from '../services/render-ports.ts';

/** What a connection tells of the change log. Every call rejects once the connection is lost. */
export interface ChangeLog {
  /** All pointers and the head, read in one REPEATABLE READ snapshot. */
  load(): Promise<RouteSnapshot>;
  /** At most `limit` changes from `seq` on, that one included, in order. */
  from(seq: number, limit: number): Promise<LoggedChange[]>;
  close(): Promise<void>;
}

/** A change with the time at which it was written. */
export interface LoggedChange extends RouteChange {
  readonly time: Date;
}

/**
 * Opens a connection that listens.
 *
 * @param onSeq the head has moved to `seq`
 * @param onLost the connection is gone; not called before it is open, a failure to open rejects
 */
export type OpenChangeLog = (onSeq: (seq: number) => void, onLost: (error: Error) => void) => Promise<ChangeLog>;

/** Learns what the feed does; must not throw. */
export interface FeedObserver {
  /** A change that moves a pointer was applied. @param seconds since it was written */
  propagated(seconds: number): void;
  applied(seq: number): void;
  reloaded(reason: string): void;
  disconnected(error: Error): void;
}

const POLL_MS = 1_000;
const RETRY_MS = 250;
const PAGE = 1_000;
const NOT_LOADED_RETRY_MS = 1_000;
/** The longest delay that a timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Waiter {
  readonly seq: number;
  /** Answers it and forgets it. */
  readonly settle: (applied: boolean) => void;
}

/**
 * Keeps the route map at the head of the change log (spec section 4): loaded in one snapshot, then advanced only by
 * applying changes in order. A notification says that there is something to fetch, never what; the head is also read
 * every second, which proves the pointers and finds out a half-open connection. A replica whose (seq, chain hash) is
 * not in the log reloads everything.
 */
export class RouteFeed implements Routes {
  readonly #open: OpenChangeLog;
  readonly #observer: FeedObserver;
  readonly #now: () => number;
  #log: ChangeLog | undefined;
  #map: RouteMap | undefined;
  #verifiedAt = 0;
  #wanted = 0;
  #round: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter>();

  constructor(open: OpenChangeLog, observer: FeedObserver, now: () => number) {
    this.#open = open;
    this.#observer = observer;
    this.#now = now;
  }

  get loaded(): RouteMap | undefined {
    return this.#map;
  }

  /** @throws Unavailable until the map is loaded */
  get map(): RouteMap {
    if (this.#map !== undefined) return this.#map;
    throw new Unavailable('DATABASE_UNAVAILABLE', 'this replica has not loaded its pointers yet', NOT_LOADED_RETRY_MS);
  }

  get verifiedAt(): number {
    return this.#verifiedAt;
  }

  /** Resolves once the map is loaded, however long the database is away before. Rejects if stopped meanwhile. */
  async start(): Promise<void> {
    for (;;) {
      await this.#turn();
      if (this.#map !== undefined) return;
      await sleep(RETRY_MS, undefined, { signal: this.#stop.signal });
    }
  }

  applied(seq: number, until: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#map !== undefined && this.#map.seq >= seq) return Promise.resolve(true);
    const wait = until - this.#now();
    if (wait <= 0 || signal?.aborted || this.#stop.signal.aborted) return Promise.resolve(false);
    const applied = new Promise<boolean>((resolve) => {
      const giveUp = () => waiter.settle(false);
      const timer = setTimeout(giveUp, Math.min(wait, MAX_TIMER_MS));
      const waiter: Waiter = {
        seq,
        settle: (answer) => {
          this.#waiters.delete(waiter);
          clearTimeout(timer);
          signal?.removeEventListener('abort', giveUp);
          resolve(answer);
        },
      };
      signal?.addEventListener('abort', giveUp);
      this.#waiters.add(waiter);
    });
    this.#notified(seq);
    return applied;
  }

  /** Stops following the log, with no connection left; the map stays as it is. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the route feed was stopped'));
    clearTimeout(this.#timer);
    await this.#log?.close();
    await this.#round;
    for (const waiter of this.#waiters) waiter.settle(false);
  }

  #notified(seq: number): void {
    this.#wanted = Math.max(this.#wanted, seq);
    void this.#turn();
  }

  /** Brings the map to the head and plans the next look, unless stopped; turns do not overlap. */
  #turn(): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve();
    this.#round ??= this.#advance()
      .catch((error: unknown) => this.#lose(error as Error))
      .finally(() => {
        this.#round = undefined;
        if (this.#map === undefined || this.#stop.signal.aborted) return;
        clearTimeout(this.#timer);
        const behind = this.#log !== undefined && this.#wanted > this.map.seq;
        this.#timer = setTimeout(() => void this.#turn(), behind ? 0 : this.#log ? POLL_MS : RETRY_MS);
      });
    return this.#round;
  }

  async #advance(): Promise<void> {
    const log = this.#log ?? (await this.#connect());
    if (this.#stop.signal.aborted) return log.close();
    this.#log = log;
    if (this.#map === undefined) return this.#reload(log, 'start');
    for (;;) {
      const askedAt = this.#now();
      this.#wanted = 0;
      const changes = await log.from(this.map.seq, PAGE);
      const [known, ...news] = changes;
      if (known?.seq !== this.map.seq || known.chainHash !== this.map.chainHash) {
        return this.#reload(log, `change ${this.map.seq} is not in the log as it was applied`);
      }
      for (const change of news) this.#apply(change);
      if (changes.length < PAGE) {
        this.#verifiedAt = askedAt;
        return;
      }
    }
  }

  async #connect(): Promise<ChangeLog> {
    const log = await this.#open(
      (seq) => this.#notified(seq),
      (error) => {
        if (this.#log === log) this.#lose(error);
      },
    );
    return log;
  }

  async #reload(log: ChangeLog, reason: string): Promise<void> {
    const askedAt = this.#now();
    this.#wanted = 0;
    this.#map = new RouteMap(await log.load());
    this.#verifiedAt = askedAt;
    this.#observer.reloaded(reason);
    this.#observer.applied(this.map.seq);
    this.#wake();
  }

  #apply(change: LoggedChange): void {
    this.map.apply(change);
    if (change.entityKind !== 'TEMPLATE') this.#observer.propagated((this.#now() - change.time.getTime()) / 1_000);
    this.#observer.applied(change.seq);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) if (waiter.seq <= this.map.seq) waiter.settle(true);
  }

  #lose(error: Error): void {
    const log = this.#log;
    this.#log = undefined;
    if (this.#stop.signal.aborted) return;
    this.#observer.disconnected(error);
    void log?.close();
    if (this.#map === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#turn(), RETRY_MS);
  }
}
