import type { Acknowledgement } from '../services/receipt-policy.ts';
import {
  ReceiptNotKept,
  type ReceiptRecord,
  type ReceiptSink,
  type ReceiptsUnderWay,
} from '../services/trail.ts';
import type { DrainEvent, Settled } from './drainer.ts';
import { comparePositions, START, type Position } from './journal-segments.ts';
import { encodeLine } from './receipt-line.ts';

/** The journal, as `Journal` keeps it. */
export interface ReceiptJournal {
  readonly bytes: number;
  append(line: string): Promise<Position>;
  freed(bytes: number): void;
}

export interface JournaledReceiptsParts {
  readonly journal: ReceiptJournal;
  readonly acknowledgement: Acknowledgement;
  /** Has what is in the journal drained at once. */
  readonly flush: () => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** How long a receipt may take into the chain; after an outage as long nobody waits for the database any more. */
const CHAIN_WAIT_MS = 2_000;

/** More have not been answered when their write is seen to be done. */
const REFUSED_MAX = 1_000;

/** A receipt that is to be in the chain before its render is answered. */
interface Unchained {
  readonly position: Position;
  readonly resolve: () => void;
  readonly reject: (error: ReceiptNotKept) => void;
}

/** A reader that waits for what is under way. */
interface Reader {
  readonly position: Position;
  readonly resolve: () => void;
}

/**
 * Receipts in a journal, which a drainer empties into the chain. What it tells of that comes in through `told`; so it is
 * known how much is under way, and for how long.
 */
export class JournaledReceipts implements ReceiptSink, ReceiptsUnderWay {
  readonly #journal: ReceiptJournal;
  readonly #inChain: boolean;
  readonly #flush: () => void;
  readonly #now: () => number;
  /** By render_id, in the order of the journal. */
  readonly #unchained = new Map<string, Unchained>();
  readonly #readers = new Set<Reader>();
  /** Set aside lately, by render_id. */
  readonly #refused = new Set<string>();
  #last = START;
  #settled = START;
  /** Up to which no receipt that was not settled before is known to be in the chain. */
  #doubtful = START;
  #waiting = 0;
  #backlog = 0;
  #oldest = Infinity;
  #awaySince: number | undefined;
  #flushing = false;

  constructor({ journal, acknowledgement, flush, now }: JournaledReceiptsParts) {
    this.#journal = journal;
    this.#inChain = acknowledgement === 'database';
    this.#flush = flush;
    this.#now = now;
  }

  /** Receipts that are not in the chain yet, of workers that are gone too, as far as their journals were found. */
  get depth(): number {
    return this.#waiting + this.#backlog;
  }

  /** Of the journal on disk. */
  get bytes(): number {
    return this.#journal.bytes;
  }

  /** Since the oldest of them was rendered; 0: there is none. */
  get oldestSeconds(): number {
    return this.#oldest === Infinity ? 0 : Math.max(0, this.#now() - this.#oldest) / 1_000;
  }

  /** @throws ReceiptNotKept */
  async write(receipt: ReceiptRecord, inputs: string | undefined, until: number): Promise<void> {
    const position = await this.#journal.append(encodeLine(receipt, inputs));
    this.#last = position;
    const settled = isUpTo(position, this.#settled);
    if (!settled) {
      this.#waiting += 1;
      if (this.#oldest === Infinity) this.#oldest = receipt.time.getTime();
    }
    if (this.#inChain) await this.#chained(receipt.renderId, position, settled, until);
  }

  /** Where the database is found to be away, that is not waited for: whoever reads will learn of it. */
  async settled(until: number): Promise<void> {
    if (isUpTo(this.#last, this.#settled)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const reader = { position: this.#last, resolve };
    this.#readers.add(reader);
    const timer = setTimeout(resolve, Math.max(0, until - this.#now()));
    this.#flushSoon();
    await promise;
    clearTimeout(timer);
    this.#readers.delete(reader);
  }

  /** Takes what the drainer tells. */
  told(event: DrainEvent): void {
    if (event.kind === 'settled') this.#drained(event);
    if (event.kind !== 'away') return;
    this.#awaySince ??= this.#now();
    this.#backlog = event.backlog;
    this.#oldest = Math.min(this.#oldest, event.oldest ?? Infinity);
    for (const { resolve } of this.#readers) resolve();
  }

  #drained({ end, receipts, backlog, freedBytes, oldest, deadLetters }: Settled): void {
    this.#awaySince = undefined;
    this.#journal.freed(freedBytes);
    this.#backlog = backlog;
    // A drainer that took the place of another reads again what that one had settled.
    if (end && !isUpTo(end, this.#settled)) {
      this.#settled = end;
      this.#waiting = isUpTo(this.#last, end) ? 0 : Math.max(0, this.#waiting - receipts);
      if (deadLetters.length > 0 && this.#inChain) this.#mark(end, deadLetters);
      this.#answer(end);
    }
    if (this.depth === 0) this.#oldest = Infinity;
    // What came since the drainer looked into its own journal is younger than this.
    else if (oldest !== undefined || end) this.#oldest = oldest ?? this.#now();
  }

  #mark(end: Position, deadLetters: Settled['deadLetters']): void {
    if (this.#refused.size > REFUSED_MAX) this.#refused.clear();
    for (const { renderId } of deadLetters) {
      if (renderId === '') this.#doubtful = end;
      else this.#refused.add(renderId);
    }
  }

  #answer(end: Position): void {
    for (const reader of this.#readers) if (isUpTo(reader.position, end)) reader.resolve();
    for (const [renderId, { position, resolve, reject }] of this.#unchained) {
      if (!isUpTo(position, end)) break;
      this.#unchained.delete(renderId);
      if (this.#isSetAside(renderId, position)) reject(setAside());
      else resolve();
    }
  }

  async #chained(renderId: string, position: Position, settled: boolean, until: number): Promise<void> {
    if (settled && this.#isSetAside(renderId, position)) throw setAside();
    if (settled) return;
    this.#flushSoon();
    const now = this.#now();
    if (this.#awaySince !== undefined && now - this.#awaySince >= CHAIN_WAIT_MS) throw tooLate();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#unchained.set(renderId, { position, resolve, reject });
    const timer = setTimeout(() => {
      this.#unchained.delete(renderId);
      reject(tooLate());
    }, Math.max(0, Math.min(CHAIN_WAIT_MS, until - now)));
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #isSetAside(renderId: string, position: Position): boolean {
    return this.#refused.has(renderId) || isUpTo(position, this.#doubtful);
  }

  /** Once for all receipts of a group, which are told of one after the other. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }
}

function isUpTo(position: Position, end: Position): boolean {
  return comparePositions(position, end) <= 0;
}

function tooLate(): ReceiptNotKept {
  return new ReceiptNotKept('the receipt is in the journal, but the database did not take it in time', true);
}

function setAside(): ReceiptNotKept {
  return new ReceiptNotKept('the database refuses the receipt; it is with the dead letters', true);
}
