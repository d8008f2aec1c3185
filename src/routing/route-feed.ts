import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '../domain/errors.ts';
import type { RouteChange, RouteMap } from '../domain/route-map.ts';
import type { Routes } from '../services/render-ports.ts';
import { firstOfStaggered } from './staggered-attempts.ts';

/** What a connection tells of the change log. Every call rejects once the connection is lost. */
export interface ChangeLog {
  /** All pointers and the head, read in one REPEATABLE READ snapshot. */
  load(): Promise<RouteMap>;
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
 * @param onSeq is told what notifications carry, which may be anything: the head has moved to `seq`
 * @param onLost the connection is gone; not called before it is open, a failure to open rejects
 * @param signal gives up: once it aborts, no connection is left of what was not open yet
 */
export type OpenChangeLog = (
  onSeq: (seq: number) => void,
  onLost: (error: Error) => void,
  signal: AbortSignal,
) => Promise<ChangeLog>;

/** Learns what the feed does; must not throw. */
export interface FeedObserver {
  /** A change that moves a pointer was applied. @param seconds since it was written */
  propagated(seconds: number): void;
  applied(seq: number): void;
  /** The newest change known of, applied or not. */
  head(seq: number): void;
  reloaded(reason: string): void;
  /** A connection was lost, or could not be opened. */
  disconnected(error: Error): void;
}

/** Is told synchronously that the map has moved, before anyone who waits for it; must not throw. */
export interface RouteFollower {
  /** All pointers may be others. */
  loaded(map: RouteMap): void;
  applied(change: RouteChange, map: RouteMap): void;
}

const POLL_MS = 1_000;
/** From the start of one attempt to connect to the next one. */
const RETRY_MS = 250;
/** As long as an attempt hangs, another one begins beside it this often. */
const STAGGER_MS = 500;
const PAGE = 1_000;
const NOT_LOADED_RETRY_MS = 1_000;
/** The longest delay that a timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Waiter {
  readonly seq: number;
  /** Only a later reading of the log than this one shows it. */
  readonly since: number;
  /** Answers it and forgets it. */
  readonly settle: (applied: boolean) => void;
}

/** When the log was asked for what is new, on both clocks, in milliseconds. */
interface Reading {
  /** From 1 on; 0 before the first one. */
  readonly number: number;
  /** Since the epoch. */
  readonly wall: number;
  readonly monotonic: number;
}

/**
 * Keeps the route map at the head of the change log (spec section 4): loaded in one snapshot, then advanced only by
 * applying changes in order. A notification says that there is something to fetch, never what; the head is also read
 * every second, which proves the pointers and finds out a half-open connection. A replica that cannot follow the log,
 * because its (seq, chain hash) is not in it or a change cannot be applied, reloads everything: the new map is built
 * aside, and the old one answers until it is whole.
 */
export class RouteFeed implements Routes {
  readonly #open: OpenChangeLog;
  readonly #observer: FeedObserver;
  readonly #now: () => number;
  readonly #followers: readonly RouteFollower[];
  readonly #monotonic: () => number;
  #log: ChangeLog | undefined;
  #map: RouteMap | undefined;
  /** How often the log was asked. */
  #readings = 0;
  /** The one whose answer was applied last. */
  #verified: Reading = { number: 0, wall: 0, monotonic: -Infinity };
  #connectAgainAt = -Infinity;
  /** The newest change that somebody waits for, or that was notified, since the log was read last. */
  #wanted = 0;
  /** The newest one that was notified since then. */
  #told = 0;
  #round: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter>();

  /**
   * @param now milliseconds since the epoch
   * @param monotonic milliseconds of a clock that only goes forward
   */
  constructor(
    open: OpenChangeLog,
    observer: FeedObserver,
    now: () => number,
    followers: readonly RouteFollower[] = [],
    monotonic: () => number = () => performance.now(),
  ) {
    this.#open = open;
    this.#observer = observer;
    this.#now = now;
    this.#followers = followers;
    this.#monotonic = monotonic;
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
    return this.#verified.wall;
  }

  /**
   * Of two clocks the one that says more is believed: the wall clock may be set back, and the monotonic one may stand
   * still while the machine is suspended.
   */
  unverifiedMs(): number {
    return Math.max(this.#now() - this.#verified.wall, this.#monotonic() - this.#verified.monotonic);
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
    return this.#wait(seq, -1, until, signal);
  }

  /**
   * As `applied`, for a change that was just committed: the log has to be read once more from now on, since the map may
   * be at that seq on the history of a database that was restored meanwhile. Only seqs are compared: a commit that the
   * database loses in a failover just then is lost, whether it is answered or not.
   */
  written(seq: number, until: number): Promise<boolean> {
    return this.#wait(seq, this.#readings, until);
  }

  /** Stops following the log, with no connection left; the map stays as it is. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the route feed was stopped'));
    clearTimeout(this.#timer);
    await this.#log?.close();
    await this.#round;
    for (const waiter of this.#waiters) waiter.settle(false);
  }

  #wait(seq: number, since: number, until: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#shows(seq, since)) return Promise.resolve(true);
    const wait = until - this.#now();
    if (wait <= 0 || signal?.aborted || this.#stop.signal.aborted) return Promise.resolve(false);
    const applied = new Promise<boolean>((resolve) => {
      const giveUp = () => waiter.settle(false);
      const timer = setTimeout(giveUp, Math.min(wait, MAX_TIMER_MS));
      const waiter: Waiter = {
        seq,
        since,
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
    this.#fetch(seq);
    return applied;
  }

  #shows(seq: number, since: number): boolean {
    return this.#map !== undefined && this.#map.seq >= seq && this.#verified.number > since;
  }

  #notified(seq: number): void {
    const isSeq = Number.isSafeInteger(seq);
    if (isSeq) this.#told = Math.max(this.#told, seq);
    if (this.#map !== undefined) this.#observer.head(Math.max(this.#map.seq, this.#told));
    this.#fetch(isSeq ? seq : Infinity);
  }

  /** Looks for a change at once. Without a connection it is left to the timer, so that nobody can hurry attempts. */
  #fetch(seq: number): void {
    this.#wanted = Math.max(this.#wanted, seq);
    if (this.#log !== undefined) void this.#turn();
  }

  /** Brings the map to the head and plans the next look, unless stopped; turns do not overlap. */
  #turn(): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve();
    this.#round ??= this.#advance()
      .catch((error: unknown) => this.#lose(this.#log, error as Error))
      .finally(() => {
        this.#round = undefined;
        this.#plan();
      });
    return this.#round;
  }

  /** When to look next, unless stopped or not loaded yet. */
  #plan(): void {
    if (this.#map === undefined || this.#stop.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#turn(), this.#pause(this.#map));
  }

  #pause(map: RouteMap): number {
    if (this.#log === undefined) return Math.max(0, this.#connectAgainAt - this.#monotonic());
    return this.#wanted > map.seq || this.#isAwaited() ? 0 : POLL_MS;
  }

  async #advance(): Promise<void> {
    this.#log ??= await this.#connect();
    this.#stop.signal.throwIfAborted();
    const log = this.#log;
    if (this.#map === undefined) return this.#reload(log, 'start');
    for (;;) {
      const asked = this.#ask();
      const changes = await log.from(this.#map.seq, PAGE);
      const lostTrack = this.#follow(this.#map, changes);
      if (lostTrack !== undefined) return this.#reload(log, lostTrack);
      if (changes.length < PAGE) return this.#verify(asked);
    }
  }

  #connect(): Promise<ChangeLog> {
    this.#connectAgainAt = this.#monotonic() + RETRY_MS;
    return firstOfStaggered((signal) => this.#attempt(signal), {
      everyMs: STAGGER_MS,
      signal: this.#stop.signal,
      failed: (error) => this.#observer.disconnected(error),
      discard: (late) => void late.close(),
    });
  }

  async #attempt(signal: AbortSignal): Promise<ChangeLog> {
    const log: ChangeLog = await this.#open(
      (seq) => this.#notified(seq),
      (error) => this.#lose(log, error),
      signal,
    );
    return log;
  }

  /** @returns why the map cannot follow the log; undefined: it has followed it */
  #follow(map: RouteMap, [known, ...news]: readonly LoggedChange[]): string | undefined {
    if (known?.seq !== map.seq || known.chainHash !== map.chainHash) {
      return `change ${map.seq} is not in the log as it was applied`;
    }
    for (const change of news) {
      try {
        map.apply(change);
      } catch (error) {
        return `change ${change.seq} cannot be applied: ${(error as Error).message}`;
      }
      this.#applied(map, change);
    }
    return undefined;
  }

  #applied(map: RouteMap, change: LoggedChange): void {
    if (change.entityKind !== 'TEMPLATE') this.#observer.propagated((this.#now() - change.time.getTime()) / 1_000);
    this.#observer.applied(change.seq);
    for (const follower of this.#followers) follower.applied(change, map);
    this.#wake();
  }

  async #reload(log: ChangeLog, reason: string): Promise<void> {
    const asked = this.#ask();
    const map = await log.load();
    this.#map = map;
    this.#observer.reloaded(reason);
    this.#observer.applied(map.seq);
    for (const follower of this.#followers) follower.loaded(map);
    this.#verify(asked);
  }

  /** What was known to be missing is in the answer to what is asked from now on. @returns when that was */
  #ask(): Reading {
    this.#wanted = 0;
    this.#told = 0;
    this.#readings += 1;
    return { number: this.#readings, wall: this.#now(), monotonic: this.#monotonic() };
  }

  /** The map was the database's at that moment, or later. */
  #verify(asked: Reading): void {
    this.#verified = asked;
    this.#observer.head(Math.max(this.map.seq, this.#told));
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) if (this.#shows(waiter.seq, waiter.since)) waiter.settle(true);
  }

  /** Whether somebody waits for the log to be read once more. */
  #isAwaited(): boolean {
    for (const { since } of this.#waiters) if (since >= this.#verified.number) return true;
    return false;
  }

  /** @param log the connection that is lost; nothing is left to do if it is no longer, or not yet, the feed's */
  #lose(log: ChangeLog | undefined, error: Error): void {
    if (log === undefined || this.#log !== log) return;
    this.#log = undefined;
    void log.close();
    if (this.#stop.signal.aborted) return;
    this.#observer.disconnected(error);
    this.#plan();
  }
}
