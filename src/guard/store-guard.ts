import { Unavailable } from '../domain/errors.ts';

/** `closed`: all work runs. `open`: none does. `half_open`: one piece of work may show whether the store is back. */
export type BreakerState = 'closed' | 'half_open' | 'open';

/** `open`: not tried. `timeout`: no answer in time. `full`: too much of it waits. */
export type RejectionReason = 'open' | 'timeout' | 'full';

/** What the error of a piece of work says of the store: it is there, it is away, or neither. */
export type Verdict = 'there' | 'away' | 'nothing';

/** Learns what a guard does; must not throw. */
export interface GuardObserver {
  state(store: string, state: BreakerState): void;
  rejected(store: string, reason: RejectionReason): void;
}

export interface StoreGuardOptions {
  /** The name in metrics, logs and errors. */
  readonly store: string;
  /** Longest time of one piece of work, in milliseconds; the wait for others is not part of it. Default: no bound. */
  readonly timeoutMs?: number;
  /** Most pieces of work at a time; default: no bound. */
  readonly concurrency?: number;
  /** Most pieces of work that wait for others; default 0. */
  readonly queueMax?: number;
  /** Failures in a row that open the breaker; default 5. */
  readonly failuresToOpen?: number;
  /** How long an open breaker refuses all work before it lets one piece try, in milliseconds. */
  readonly retryAfterMs: number;
  readonly observer: GuardObserver;
  /** Default: `Unavailable` says that the store is away, every other error that it is there. */
  readonly judge?: (error: unknown) => Verdict;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
}

const FAILURES_TO_OPEN = 5;
const RETRY_DELAY_MS = 1_000;
const LEFT_ALONE = 'is left alone, because it did not answer';

/** Work that waits for its turn. */
interface Waiting {
  readonly begin: () => void;
  readonly refuse: (error: Unavailable) => void;
}

/**
 * Bounds what a store that is away, slow or frozen costs its callers (docs/adr/0031): a bound on the work at a time, a
 * breaker, and a time limit. While the breaker is open all work fails at once, what waits included; after a while one
 * piece is let through, and its end alone decides. The end of work that began before the breaker last moved says
 * nothing any more.
 */
export class StoreGuard {
  readonly #store: string;
  readonly #timeoutMs: number | undefined;
  readonly #concurrency: number;
  readonly #queueMax: number;
  readonly #failuresToOpen: number;
  readonly #retryAfterMs: number;
  readonly #observer: GuardObserver;
  readonly #judge: (error: unknown) => Verdict;
  readonly #now: () => number;
  #running = 0;
  readonly #waiting: Waiting[] = [];
  #open = false;
  #openedAt = 0;
  #trying = false;
  #failures = 0;
  /** Counts the moves of the breaker. */
  #era = 0;
  #told: BreakerState | undefined;

  constructor(options: StoreGuardOptions) {
    this.#store = options.store;
    this.#timeoutMs = options.timeoutMs;
    this.#concurrency = options.concurrency ?? Infinity;
    this.#queueMax = options.queueMax ?? 0;
    this.#failuresToOpen = options.failuresToOpen ?? FAILURES_TO_OPEN;
    this.#retryAfterMs = options.retryAfterMs;
    this.#observer = options.observer;
    this.#judge = options.judge ?? isAway;
    this.#now = options.now ?? (() => performance.now());
    this.#tell('closed');
  }

  /**
   * Runs the work, or refuses it. Work that takes too long is not stopped; nobody waits for it any more, but it counts
   * among the work at a time until it ends.
   * @throws Unavailable if the breaker is open, too much waits, or the time is up; else whatever the work throws
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    // The one that tries does not wait for those that hang.
    if (this.#running < this.#concurrency || this.#open) this.#running += 1;
    else await this.#turn();
    return this.#begin(work);
  }

  /** While it is open nothing may begin, but after a while one piece that tries. @throws Unavailable */
  #checkOpen(): void {
    if (!this.#open || (!this.#trying && this.#now() - this.#openedAt >= this.#retryAfterMs)) return;
    throw this.#refusal('open', LEFT_ALONE);
  }

  /** Waits for the place of work that ends. */
  #turn(): Promise<void> {
    if (this.#waiting.length >= this.#queueMax) throw this.#refusal('full', 'has too much to do');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ begin: resolve, refuse: reject });
    return promise;
  }

  async #begin<T>(work: () => Promise<T>): Promise<T> {
    if (this.#open) {
      this.#trying = true;
      this.#tell('half_open');
    }
    const era = this.#era;
    const done = work();
    try {
      const result = await this.#inTime(done);
      if (era === this.#era) this.#found('there');
      return result;
    } catch (error) {
      if (era === this.#era) this.#found(this.#judge(error));
      throw error;
    } finally {
      // After the breaker has moved, so that what waits is refused rather than begun.
      const leave = () => this.#leave();
      done.then(leave, leave);
    }
  }

  /** Leaves its place to what waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next.begin();
    else this.#running -= 1;
  }

  #inTime<T>(done: Promise<T>): Promise<T> {
    if (this.#timeoutMs === undefined) return done;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const giveUp = () => reject(this.#refusal('timeout', `did not answer within ${this.#timeoutMs} ms`));
    // An answer that lay in the socket while the process was busy is read before that.
    const timer = setTimeout(() => setImmediate(giveUp), this.#timeoutMs);
    void done.then(resolve, reject).finally(() => clearTimeout(timer));
    return promise;
  }

  #found(verdict: Verdict): void {
    if (verdict === 'there') {
      this.#failures = 0;
      if (this.#open) this.#close();
    } else if (verdict === 'away') {
      this.#failures += 1;
      if (this.#open || this.#failures >= this.#failuresToOpen) this.#reopen();
    } else this.#trying = false;
  }

  #close(): void {
    this.#open = false;
    this.#trying = false;
    this.#era += 1;
    this.#tell('closed');
  }

  #reopen(): void {
    this.#open = true;
    this.#trying = false;
    this.#openedAt = this.#now();
    this.#era += 1;
    const era = this.#era;
    this.#tell('open');
    setTimeout(() => era === this.#era && this.#tell('half_open'), this.#retryAfterMs).unref();
    for (const { refuse } of this.#waiting.splice(0)) refuse(this.#refusal('open', LEFT_ALONE));
  }

  #tell(state: BreakerState): void {
    if (state === this.#told) return;
    this.#told = state;
    this.#observer.state(this.#store, state);
  }

  #refusal(reason: RejectionReason, what: string): Unavailable {
    this.#observer.rejected(this.#store, reason);
    return new Unavailable('DATABASE_UNAVAILABLE', `${this.#store} ${what}`, RETRY_DELAY_MS);
  }
}

function isAway(error: unknown): Verdict {
  return error instanceof Unavailable ? 'away' : 'there';
}
