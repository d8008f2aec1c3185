import { setImmediate as nextTurn } from 'node:timers/promises';
import { Unavailable } from '../domain/errors.ts';
import type { JournaledReceipt } from '../services/trail.ts';
import type { Position } from './journal-segments.ts';
import type { Reading } from './journal-reader.ts';
import { Pause } from './pause.ts';
import { decodeLine } from './receipt-line.ts';

/** One slot's journal, as `JournalReader` reads it. */
export interface DrainSource {
  read(maxLines: number, maxBytes: number): Promise<Reading | undefined>;
  complete(): void;
  drained(position: Position): Promise<number>;
  close(): Promise<void>;
  /** Lines of those who owned the slot before. */
  backlog(): Promise<number>;
}

/** The journal of a worker that is gone. */
export interface AdoptedSource extends DrainSource {
  readonly directory: string;
  /** Lets others own it. */
  release(): void;
}

/** The chain in the database, as `ReceiptChain` keeps it. */
export interface DrainChain<B extends { readonly receipts: readonly JournaledReceipt[] }> {
  prepare(receipts: readonly JournaledReceipt[]): B[];
  append(batch: B): Promise<{ readonly chained: number }>;
  ensurePartitions(): Promise<void>;
  close(): Promise<void>;
}

/** A line that never gets into the chain as it is. */
export interface DeadLetter {
  /** Empty: the line is damaged. */
  readonly renderId: string;
  readonly reason: string;
  readonly line: string;
}

export interface DrainerParts<B extends { readonly receipts: readonly JournaledReceipt[] }> {
  readonly chain: DrainChain<B>;
  /** Keeps dead letters. @throws Error: it is tried again */
  readonly setAside: (letters: readonly DeadLetter[]) => Promise<void>;
  /** Owns the journals that nobody owns. @throws Error: it is tried again */
  readonly adopt: () => readonly AdoptedSource[];
  /** Told of what happens. Must not throw. */
  readonly tell: (event: DrainEvent) => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
}

/** What a drainer tells of itself. Plain values, so that it can be sent to another thread. */
export type DrainEvent = Settled | Away | Failed | Adopted | Ended;

/** Lines are in the chain, or with the dead letters. */
export interface Settled {
  readonly kind: 'settled';
  /** Up to which its own journal is settled; undefined: it was an adopted one. */
  readonly end: Position | undefined;
  /** Lines of its own worker. */
  readonly receipts: number;
  /** Lines of workers that are gone, as far as their journals were found, that wait still. */
  readonly backlog: number;
  /** Receipts that were new in the chain. */
  readonly chained: number;
  /** That their transactions took. */
  readonly seconds: number;
  /** Of its own journal. */
  readonly freedBytes: number;
  /** When the first receipt was rendered that was read and waits still; milliseconds since the epoch. */
  readonly oldest: number | undefined;
  /** Writes that were interrupted. */
  readonly torn: number;
  readonly deadLetters: readonly Omit<DeadLetter, 'line'>[];
}

/** The database cannot take receipts now; it is tried again. */
export interface Away {
  readonly kind: 'away';
  readonly reason: string;
  /** As in Settled. */
  readonly backlog: number;
  readonly oldest: number | undefined;
}

/** The journal of a worker that is gone is drained from now on. */
export interface Adopted {
  readonly kind: 'adopted';
  readonly directory: string;
}

/** All is drained, or the time for it is over. */
export interface Ended {
  readonly kind: 'ended';
}

/** Something else does not work; it is tried again. */
export interface Failed {
  readonly kind: 'failed';
  readonly work: 'read' | 'unlink' | 'adopt' | 'set aside' | 'make partitions';
  readonly reason: string;
}

/** Bounds of what is in hand: twice as much, as one batch is prepared while the one before commits. */
const BATCH_LINES = 5_000;
const BATCH_BYTES = 8 * 1024 * 1024;
/** A journal that gave no more was read to its end. */
const FEW_LINES = 100;
const FEW_CHARACTERS = 1024 * 1024;

/** So many lines take about a millisecond to decode. */
const DECODED_LINES = 200;

const POLL_MS = 200;
const ADOPT_MS = 5_000;
const BACK_OFF_MIN_MS = 100;
const BACK_OFF_MAX_MS = 5_000;

interface Slot {
  readonly source: DrainSource;
  /** Undefined: its own. */
  readonly adopted: AdoptedSource | undefined;
  /** Lines of former owners that are not settled; they come first. */
  backlog: number | undefined;
}

/** What one reading gave. */
interface Haul<B> {
  readonly slot: Slot;
  readonly reading: Reading;
  readonly lines: ReadonlyMap<JournaledReceipt, string>;
  readonly batches: readonly B[];
  readonly deadLetters: DeadLetter[];
  chained: number;
  seconds: number;
}

/**
 * Brings receipts from journals into the chain: its own worker's, whose end it follows, and those of workers that are
 * gone. A journal gives its lines up once they are settled, so that whatever ends in between, they are drained again;
 * the chain takes each once. While the database is away it tries again, ever less often; of receipts that the database
 * refuses it finds the bad ones by halving, and sets them aside with lines that are damaged.
 */
export class Drainer<B extends { readonly receipts: readonly JournaledReceipt[] }> {
  readonly #parts: DrainerParts<B>;
  readonly #pause = new Pause();
  /** Of the pauses after failures what a flush does not shorten. */
  readonly #leastPause = new Pause();
  /** Its own is the last one: what adopted ones hold is older. */
  #slots: readonly Slot[] = [];
  readonly #inHand = new Set<Haul<B>>();
  /** Dead letters that could not be kept yet. */
  #unkept: DeadLetter[] = [];
  /** Up to where journals are settled that did not give it up yet. */
  readonly #settledTo = new Map<Slot, Position>();
  #adoptAt = -Infinity;
  #backOffMs = BACK_OFF_MIN_MS;
  #asked = false;
  #inHurry = false;
  #stopping = false;
  #over = false;

  constructor(parts: DrainerParts<B>) {
    this.#parts = parts;
  }

  /** Its own worker's journal is there. Once only. */
  own(source: DrainSource): void {
    this.#slots = [...this.#slots, { source, adopted: undefined, backlog: undefined }];
    this.#wake();
  }

  /** Has what is there now drained at once; after a failure, not sooner than 100 ms after it. */
  flush(): void {
    this.#inHurry = true;
    this.#wake();
  }

  /** Has the partitions of the next days made, between two transactions. */
  makePartitions(): void {
    this.#parts.chain.ensurePartitions().catch((error: unknown) => this.#failed('make partitions', error));
  }

  /**
   * Drains what is there, and ends.
   * @param withinMs then it ends even if something is left; what is being committed is still waited for
   */
  stop(withinMs: number): void {
    this.#stopping = true;
    for (const { source } of this.#slots) source.complete();
    setTimeout(() => {
      this.#over = true;
      this.#leastPause.end();
      this.#pause.end();
    }, withinMs).unref();
    this.flush();
  }

  /** Drains until it is stopped, says so, and closes all that it was given. */
  async run(): Promise<void> {
    for (;;) {
      this.#asked = false;
      this.#adopt();
      if (this.#unkept.length > 0) await this.#retryUnkept();
      const found = await this.#drain();
      if (this.#over || (this.#stopping && !found)) break;
      if (!this.#asked && !this.#stopping) await this.#pause.wait(POLL_MS);
    }
    this.#parts.tell({ kind: 'ended' });
    for (const { source, adopted } of this.#slots) {
      await source.close();
      adopted?.release();
    }
    await this.#parts.chain.close();
  }

  #wake(): void {
    this.#asked = true;
    this.#pause.end();
  }

  #adopt(): void {
    if (this.#stopping || this.#parts.now() < this.#adoptAt) return;
    this.#adoptAt = this.#parts.now() + ADOPT_MS;
    try {
      for (const source of this.#parts.adopt()) {
        source.complete();
        this.#slots = [{ source, adopted: source, backlog: undefined }, ...this.#slots];
        this.#parts.tell({ kind: 'adopted', directory: source.directory });
      }
    } catch (error) {
      this.#failed('adopt', error);
    }
  }

  /** Drains every journal to its end, by turns. @returns whether there was anything */
  async #drain(): Promise<boolean> {
    let found = false;
    let settling: Promise<unknown> = Promise.resolve();
    const ended: Slot[] = [];
    const unread = new Set(this.#slots);
    while (unread.size > 0) {
      for (const slot of unread) {
        const haul = await this.#read(slot);
        await settling;
        if (this.#over) return found;
        if (haul === undefined) ended.push(slot);
        else settling = this.#settle(haul);
        found ||= haul !== undefined;
        if (haul === undefined || isLittle(haul.reading)) unread.delete(slot);
      }
    }
    await settling;
    if (!this.#over) for (const slot of ended) if (!this.#settledTo.has(slot)) await this.#release(slot);
    return found;
  }

  async #release(slot: Slot): Promise<void> {
    if (slot.adopted === undefined) return;
    this.#slots = this.#slots.filter((each) => each !== slot);
    await slot.source.close();
    slot.adopted.release();
  }

  /** @returns undefined: nothing is there, or it cannot be read now */
  async #read(slot: Slot): Promise<Haul<B> | undefined> {
    let reading: Reading | undefined;
    try {
      slot.backlog ??= await slot.source.backlog();
      reading = await slot.source.read(BATCH_LINES, BATCH_BYTES);
    } catch (error) {
      this.#failed('read', error);
    }
    return reading && this.#prepare(slot, reading);
  }

  /** By a millisecond at a time, so that the batch before goes on meanwhile. */
  async #prepare(slot: Slot, reading: Reading): Promise<Haul<B>> {
    const lines = new Map<JournaledReceipt, string>();
    const deadLetters: DeadLetter[] = [];
    for (const [at, { line }] of reading.entries.entries()) {
      if (at % DECODED_LINES === DECODED_LINES - 1) await nextTurn();
      const journaled = decodeLine(line);
      if (journaled) lines.set(journaled, line);
      else deadLetters.push({ renderId: '', reason: 'the line is damaged', line });
    }
    const batches = this.#parts.chain.prepare([...lines.keys()]);
    const haul = { slot, reading, lines, batches, deadLetters, chained: 0, seconds: 0 };
    this.#inHand.add(haul);
    return haul;
  }

  /** Never rejects; it resolves without an effect if the time is over. */
  async #settle(haul: Haul<B>): Promise<void> {
    const { slot, reading, deadLetters, batches } = haul;
    for (const batch of batches) await this.#chain(batch, haul);
    if (this.#over) return;
    this.#unkept.push(...deadLetters);
    this.#settledTo.set(slot, reading.end);
    const freedBytes = await this.#giveUp();
    this.#inHand.delete(haul);
    const ofOthers = Math.min(slot.backlog!, reading.entries.length);
    slot.backlog! -= ofOthers;
    const own = slot.adopted === undefined;
    this.#parts.tell({
      kind: 'settled',
      end: own ? reading.end : undefined,
      receipts: own ? reading.entries.length - ofOthers : 0,
      backlog: this.#backlog(),
      chained: haul.chained,
      seconds: haul.seconds,
      freedBytes,
      oldest: this.#oldest(),
      torn: reading.torn,
      deadLetters: deadLetters.map(({ renderId, reason }) => ({ renderId, reason })),
    });
  }

  /** Halving finds the bad ones among thousands in few transactions. */
  async #chain(batch: B, haul: Haul<B>): Promise<void> {
    const refusal = await this.#append(batch, haul);
    if (refusal === undefined) return;
    const { receipts } = batch;
    const [first] = receipts;
    if (receipts.length === 1) {
      const { renderId } = first!.receipt;
      haul.deadLetters.push({ renderId, reason: reasonOf(refusal), line: haul.lines.get(first!)! });
      return;
    }
    const half = receipts.length >> 1;
    for (const part of [receipts.slice(0, half), receipts.slice(half)]) {
      for (const each of this.#parts.chain.prepare(part)) await this.#chain(each, haul);
    }
  }

  /** @returns what the database refuses the batch for; undefined: it is in the chain, or the time is over */
  async #append(batch: B, haul: Haul<B>): Promise<unknown> {
    while (!this.#over) {
      const started = this.#parts.now();
      try {
        haul.chained += (await this.#parts.chain.append(batch)).chained;
        haul.seconds += (this.#parts.now() - started) / 1_000;
        this.#backOffMs = BACK_OFF_MIN_MS;
        return undefined;
      } catch (error) {
        if (!(error instanceof Unavailable)) return error;
        this.#parts.tell({ kind: 'away', reason: reasonOf(error), backlog: this.#backlog(), oldest: this.#oldest() });
      }
      await this.#backOff();
    }
    return undefined;
  }

  /**
   * Has journals give up what is settled. As long as a dead letter is kept nowhere else none does: draining goes on, and
   * this is tried again.
   * @returns bytes freed of its own journal
   */
  async #giveUp(): Promise<number> {
    if (!(await this.#setAside())) return 0;
    let freed = 0;
    for (const [slot, end] of this.#settledTo) {
      try {
        const bytes = await slot.source.drained(end);
        if (slot.adopted === undefined) freed += bytes;
      } catch (error) {
        this.#failed('unlink', error);
      }
    }
    this.#settledTo.clear();
    return freed;
  }

  /** @returns whether all dead letters are kept */
  async #setAside(): Promise<boolean> {
    if (this.#unkept.length === 0) return true;
    try {
      await this.#parts.setAside(this.#unkept);
      this.#unkept = [];
      return true;
    } catch (error) {
      this.#failed('set aside', error);
      return false;
    }
  }

  /** Dead letters that could not be kept are tried again though nothing else came. */
  async #retryUnkept(): Promise<void> {
    const freedBytes = await this.#giveUp();
    if (freedBytes === 0) return;
    const nothing = { receipts: 0, chained: 0, seconds: 0, torn: 0, deadLetters: [] };
    this.#parts.tell({ kind: 'settled', end: undefined, backlog: this.#backlog(), oldest: this.#oldest(), freedBytes, ...nothing });
  }

  async #backOff(): Promise<void> {
    await this.#leastPause.wait(BACK_OFF_MIN_MS);
    const rest = (this.#backOffMs * (1 + this.#parts.random())) / 2 - BACK_OFF_MIN_MS;
    if (rest > 0 && !this.#inHurry && !this.#over) await this.#pause.wait(rest);
    this.#inHurry = false;
    this.#backOffMs = Math.min(2 * this.#backOffMs, BACK_OFF_MAX_MS);
  }

  #backlog(): number {
    return this.#slots.reduce((sum, { backlog = 0 }) => sum + backlog, 0);
  }

  #oldest(): number | undefined {
    const times = [...this.#inHand].flatMap(({ batches }) => batches[0]?.receipts[0]?.receipt.time.getTime() ?? []);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  #failed(work: Failed['work'], error: unknown): void {
    this.#parts.tell({ kind: 'failed', work, reason: reasonOf(error) });
  }
}

/** A reading without lines only moved its place. */
function isLittle({ entries }: Reading): boolean {
  if (entries.length === 0 || entries.length >= FEW_LINES) return false;
  return entries.reduce((sum, { line }) => sum + line.length, 0) < FEW_CHARACTERS;
}

/** In one line, without captured values: of errors of the driver the message only, never the detail. */
function reasonOf(error: unknown): string {
  const { code, message } = (error instanceof Unavailable ? error.cause : error) as NodeJS.ErrnoException;
  return [code, message].filter(Boolean).join(': ');
}
