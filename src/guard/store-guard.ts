import {
  BrokenCircuitError,
  BulkheadRejectedError,
  CircuitState,
  ConsecutiveBreaker,
  TaskCancelledError,
  TimeoutStrategy,
  bulkhead,
  circuitBreaker,
  handleWhen,
  timeout,
} from 'cockatiel';
import { Unavailable } from '../domain/errors.ts';

/** `closed`: all work runs. `open`: none does. `half_open`: one piece of work shows whether the store is back. */
export type BreakerState = 'closed' | 'half_open' | 'open';

/** `open`: not tried. `timeout`: no answer in time. `full`: too much of it waits. */
export type RejectionReason = 'open' | 'timeout' | 'full';

/** Learns what a guard does; must not throw. */
export interface GuardObserver {
  state(store: string, state: BreakerState): void;
  rejected(store: string, reason: RejectionReason): void;
}

export interface StoreGuardOptions {
  /** The name in metrics, logs and errors. */
  readonly store: string;
  /** Longest time of one piece of work, in milliseconds; the wait for others is not part of it. */
  readonly timeoutMs: number;
  /** Most pieces of work at a time; default: no bound. */
  readonly concurrency?: number;
  /** Most pieces of work that wait for others; default 0. */
  readonly queueMax?: number;
  /** Failures in a row that open the breaker; default 5. */
  readonly failuresToOpen?: number;
  /** How long an open breaker refuses all work before it lets one piece try, in milliseconds. */
  readonly retryAfterMs: number;
  readonly observer: GuardObserver;
  /** Whether an error shows that the store is away, beside timeouts; default: `Unavailable` does. */
  readonly isFailure?: (error: unknown) => boolean;
}

const FAILURES_TO_OPEN = 5;
const RETRY_DELAY_MS = 1_000;

/**
 * Bounds what a store that is away, slow or frozen costs its callers: a bound on the work at a time, a breaker, and a
 * time limit, in this order, so that work that waited finds the breaker as it is then. While the breaker is open or
 * its one try is under way, all other work fails at once.
 */
export class StoreGuard {
  readonly #store: string;
  readonly #timeoutMs: number;
  readonly #observer: GuardObserver;
  readonly #bulkhead;
  readonly #breaker;
  readonly #timeout;

  constructor(options: StoreGuardOptions) {
    const { store, timeoutMs, observer, isFailure = isUnavailable } = options;
    this.#store = store;
    this.#timeoutMs = timeoutMs;
    this.#observer = observer;
    this.#bulkhead = bulkhead(options.concurrency ?? Infinity, options.queueMax ?? 0);
    this.#breaker = circuitBreaker(
      handleWhen((error) => error instanceof TaskCancelledError || isFailure(error)),
      {
        halfOpenAfter: options.retryAfterMs,
        breaker: new ConsecutiveBreaker(options.failuresToOpen ?? FAILURES_TO_OPEN),
      },
    );
    this.#timeout = timeout(timeoutMs, TimeoutStrategy.Aggressive);
    this.#breaker.onStateChange((state) => observer.state(store, STATES[state]));
    observer.state(store, 'closed');
  }

  /**
   * Runs the work, or refuses it. Work that takes too long is not stopped; nobody waits for it any more.
   * @throws Unavailable if the breaker is open, too much waits, or the time is up; else whatever the work throws
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      if (this.#breaker.state !== CircuitState.Closed && this.#bulkhead.executionSlots === 0) {
        throw new BrokenCircuitError();
      }
      return await this.#bulkhead.execute(() => this.#try(work));
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  #try<T>(work: () => Promise<T>): Promise<T> {
    // The breaker itself would let others wait for the one try that is under way.
    if (this.#breaker.state === CircuitState.HalfOpen) throw new BrokenCircuitError();
    return this.#breaker.execute(() => this.#timeout.execute(work));
  }

  #refusal(error: unknown): unknown {
    if (error instanceof BrokenCircuitError) return this.#refuse('open', 'is left alone, because it did not answer');
    if (error instanceof BulkheadRejectedError) return this.#refuse('full', 'has too much to do');
    if (error instanceof TaskCancelledError) {
      return this.#refuse('timeout', `did not answer within ${this.#timeoutMs} ms`);
    }
    return error;
  }

  #refuse(reason: RejectionReason, what: string): Unavailable {
    this.#observer.rejected(this.#store, reason);
    return new Unavailable('DATABASE_UNAVAILABLE', `${this.#store} ${what}`, RETRY_DELAY_MS);
  }
}

/** Nobody isolates a breaker here. */
const STATES: Readonly<Record<CircuitState, BreakerState>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half_open',
  [CircuitState.Isolated]: 'open',
};

function isUnavailable(error: unknown): boolean {
  return error instanceof Unavailable;
}
