import { Unavailable } from '../domain/errors.ts';
import type { StoreGuard } from '../guard/store-guard.ts';
import type { CapturedInputs, ReceiptRecord, ReceiptSink } from '../services/stores.ts';

/** A caller that waits this long at least, in milliseconds, and in vain, has shown that the store does not answer. */
const PATIENCE_MS = 250;

/**
 * Receipts behind the guard of their store: while it is left alone a receipt is refused at once, so that renders do not
 * wait for a store that is away. What says nothing of the store does not open the breaker: a receipt that the store
 * refuses, more of them than may wait, and callers who are in a hurry.
 */
export class GuardedReceipts implements ReceiptSink {
  readonly #inner: ReceiptSink;
  readonly #guard: StoreGuard;
  readonly #now: () => number;

  /**
   * @param guard its time limit is longer than the sink's own bound
   * @param now milliseconds since the epoch
   */
  constructor(inner: ReceiptSink, guard: StoreGuard, now: () => number) {
    this.#inner = inner;
    this.#guard = guard;
    this.#now = now;
  }

  /** @throws Unavailable DATABASE_UNAVAILABLE if the breaker is open; else what the sink throws */
  async write(receipt: ReceiptRecord, inputs: CapturedInputs | undefined, until: number): Promise<void> {
    const patient = until - this.#now() >= PATIENCE_MS;
    try {
      await this.#guard.run(() =>
        this.#inner.write(receipt, inputs, until).catch((error: unknown) => {
          throw showsStoreAway(error, patient) ? error : new Unrelated(error);
        }),
      );
    } catch (error) {
      throw error instanceof Unrelated ? error.cause : error;
    }
  }
}

/** An error that says nothing of the store, on its way past the breaker. */
class Unrelated extends Error {
  constructor(cause: unknown) {
    super('not of the store', { cause });
  }
}

function showsStoreAway(error: unknown, patient: boolean): boolean {
  if (!(error instanceof Unavailable) || error.reason === 'OVERLOADED') return false;
  return patient || error.cause instanceof Unavailable;
}
