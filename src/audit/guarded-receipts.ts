import { Unavailable } from '../domain/errors.ts';
import { StoreGuard, type StoreGuardOptions, type Verdict } from '../guard/store-guard.ts';
import type { CapturedInputs, ReceiptRecord, ReceiptSink } from '../services/stores.ts';

/** A caller that waits this long at least, in milliseconds, and in vain, has shown that the store does not answer. */
const PATIENCE_MS = 250;

/**
 * Receipts behind the guard of their store: while it is left alone a receipt is refused at once, so that renders do not
 * wait for a store that is away. What says nothing of the store does not move the breaker: more receipts than may wait,
 * and callers who are in a hurry. The sink has a time limit of its own; the guard's would cost a timer for each render.
 */
export class GuardedReceipts implements ReceiptSink {
  readonly #inner: ReceiptSink;
  readonly #guard: StoreGuard;
  readonly #now: () => number;

  /** @param now milliseconds since the epoch */
  constructor(inner: ReceiptSink, guard: Omit<StoreGuardOptions, 'judge' | 'timeoutMs'>, now: () => number) {
    this.#inner = inner;
    this.#guard = new StoreGuard({ ...guard, judge: verdict });
    this.#now = now;
  }

  /** @throws Unavailable DATABASE_UNAVAILABLE if the breaker is open; else what the sink throws */
  async write(receipt: ReceiptRecord, inputs: CapturedInputs | undefined, until: number): Promise<void> {
    const patient = until - this.#now() >= PATIENCE_MS;
    try {
      await this.#guard.run(() => this.#write(receipt, inputs, until, patient));
    } catch (error) {
      throw error instanceof Unrelated ? error.cause : error;
    }
  }

  async #write(
    receipt: ReceiptRecord,
    inputs: CapturedInputs | undefined,
    until: number,
    patient: boolean,
  ): Promise<void> {
    try {
      await this.#inner.write(receipt, inputs, until);
    } catch (error) {
      throw saysNothing(error, patient) ? new Unrelated(error) : error;
    }
  }
}

/** An error that says nothing of the store, on its way past the breaker. */
class Unrelated extends Error {
  constructor(cause: unknown) {
    super('not of the store', { cause });
  }
}

function saysNothing(error: unknown, patient: boolean): boolean {
  if (!(error instanceof Unavailable)) return false;
  return error.reason === 'OVERLOADED' || !(patient || error.cause instanceof Unavailable);
}

function verdict(error: unknown): Verdict {
  if (error instanceof Unrelated) return 'nothing';
  return error instanceof Unavailable ? 'away' : 'there';
}
