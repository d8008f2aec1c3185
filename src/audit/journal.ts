import { ReceiptNotKept } from '../services/trail.ts';
import { type Position, slotContent, START } from './journal-segments.ts';
import { claimSlot, type Slot } from './journal-slot.ts';
import { LineGroup } from './line-group.ts';
import { SegmentWriter, type Write } from './segment-writer.ts';

export { comparePositions, type Position } from './journal-segments.ts';

/** Why receipts are not kept: the journal is at its bound; the disk is full, fails, hangs; the journal has ended. */
export type JournalFailure = 'full' | 'disk_full' | 'io' | 'slow' | 'closed';

/** Told of faults. Must not throw. */
export interface JournalObserver {
  /**
   * An append was refused, a group of them failed, or the journal could not be opened, or a segment begun. Called for
   * each during an outage, from the constructor too.
   */
  failed(reason: JournalFailure, error: Error): void;
  /** A write succeeded after a failure: the outage is over. */
  recovered(): void;
  /** The slot could be opened, later than at the start. */
  opened?(): void;
}

export interface JournalOptions {
  /** Holds the slots; made if it is not there. */
  readonly root: string;
  /** Bound of all segments of the slot together. */
  readonly maxBytes: number;
  /** A receipt is kept once it survives the machine, not just the process. */
  readonly sync: boolean;
  readonly observer: JournalObserver;
  /** `fs.write` unless given. */
  readonly write?: Write;
  /** Milliseconds of a clock that only goes forward; `performance.now` unless given. */
  readonly now?: () => number;
}

/** A segment of so many bytes is followed by another, as is one that is so old and holds something. */
const SEGMENT_BYTES = 8 * 1024 * 1024;
const SEGMENT_MS = 60_000;

/** A disk that does nothing for this long hangs. */
const STALL_MS = 1_000;

/** How often the age of the segment is looked at, and opening is tried again. */
const TICK_MS = 1_000;

const DISK_FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * Append-only files of lines, written in groups: the lines of one turn of the event loop, or those that came while a
 * write was under way, are one asynchronous write. It owns a slot from when it could be opened, in the constructor or,
 * tried each second, later; until then appends are refused. Whatever fails, each append is settled, and appends work
 * again by themselves once the fault is over. If the disk does nothing for a second those that wait are refused, and
 * further ones at once until it does.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #now: () => number;
  readonly #tick: NodeJS.Timeout;
  /** Started anew with each commit. */
  readonly #stall: NodeJS.Timeout;
  #slot: Slot | undefined;
  #openError = new Error('the journal is not open');
  #firstSegment: number | undefined;
  #lastSegment = 0;
  #active: SegmentWriter | undefined;
  #activeSince = 0;
  #position = START;
  #bytes = 0;
  /** What comes now. */
  #gathering = new LineGroup();
  /** What the commit under way writes; empty if there is none. */
  #underWay = new LineGroup();
  #commits = 0;
  #committing = false;
  /** A commit is under way or about to be. */
  #busy = false;
  #stalled = false;
  #failing = false;
  #ended: PromiseWithResolvers<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#tick = setInterval(() => this.#lookAfter(), TICK_MS).unref();
    this.#stall = setTimeout(() => this.#suspect(), STALL_MS / 2).unref();
    this.#open();
  }

  /** Of the slot; undefined: it could not be opened yet, or is closed. */
  get directory(): string | undefined {
    return this.#slot?.directory;
  }

  /** Segments below are those of earlier owners of the slot; undefined: it could not be opened yet. */
  get firstSegment(): number | undefined {
    return this.#firstSegment;
  }

  /** The end of what was written; segment 0: nothing was. */
  get position(): Position {
    return this.#position;
  }

  /** Of all segments of the slot together, earlier owners' included. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * @param line of `encodeLine`
   * @returns where it ends, once it is kept
   * @throws ReceiptNotKept (journaled: false), with the fault as its cause
   */
  append(line: string): Promise<Position> {
    if (this.#ended) return this.#refused('closed', new Error('the journal has ended'));
    if (!this.#slot) return this.#refused(reasonOf(this.#openError), this.#openError);
    if (this.#stalled) return this.#refused('slow', new Error('the disk does nothing'));
    if (this.#bytes + this.#underWay.length + this.#gathering.length + line.length > this.#options.maxBytes) {
      return this.#refused('full', new Error(`the journal holds ${this.#bytes} bytes that are not drained`));
    }
    this.#schedule();
    return this.#gathering.add(line);
  }

  /** So many bytes of segments were unlinked (`JournalReader.drained`). */
  freed(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes - bytes);
  }

  /**
   * Takes no more appends. Resolves once those that wait are settled and the last segment is complete, so that the
   * slot can be read to its end (`JournalReader.complete`); the slot is still owned. May be called again.
   */
  end(): Promise<void> {
    if (!this.#ended) {
      this.#ended = Promise.withResolvers();
      clearInterval(this.#tick);
      if (this.#stalled) this.#ended.resolve();
      this.#schedule();
    }
    return this.#ended.promise;
  }

  /** Ends it, and gives the slot up. May be called again. */
  async close(): Promise<void> {
    await this.end();
    this.#slot?.release();
    this.#slot = undefined;
  }

  #open(): void {
    try {
      const slot = claimSlot(this.#options.root);
      this.#slot = slot;
      const { lastSegment, bytes } = slotContent(slot.directory);
      this.#lastSegment = lastSegment;
      this.#firstSegment = lastSegment + 1;
      this.#bytes = bytes;
      // Begins a segment, so that those of earlier owners are complete.
      this.#schedule();
    } catch (error) {
      this.#slot?.release();
      this.#slot = undefined;
      this.#openError = error as Error;
      this.#report(reasonOf(error), this.#openError);
    }
  }

  #lookAfter(): void {
    if (!this.#slot) {
      this.#open();
      if (this.#slot) this.#options.observer.opened?.();
    } else if (this.#needsSegment()) this.#schedule();
  }

  #schedule(): void {
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => void this.#commit());
  }

  /** Never rejects. */
  async #commit(): Promise<void> {
    const group = this.#gathering;
    this.#gathering = this.#underWay;
    this.#underWay = group;
    this.#committing = true;
    this.#commits += 1;
    this.#stall.refresh();
    try {
      if (group.length > 0) await this.#write(group);
      else await this.#betweenGroups();
    } catch (error) {
      await this.#giveUp(error as Error);
    }
    group.clear();
    this.#stalled = false;
    this.#committing = false;
    this.#busy = false;
    if (this.#gathering.length > 0 || (this.#ended && this.#active)) this.#schedule();
    else this.#ended?.resolve();
  }

  async #write(group: LineGroup): Promise<void> {
    if (this.#needsSegment()) await this.#beginSegment();
    const active = this.#active!;
    const { segment, offset } = active;
    await active.append(group.bytes);
    this.#bytes += group.length;
    this.#position = { segment, offset: active.offset };
    if (this.#failing) {
      this.#failing = false;
      this.#options.observer.recovered();
    }
    group.keep({ segment, offset });
  }

  async #betweenGroups(): Promise<void> {
    if (this.#ended) await this.#closeSegment();
    else if (this.#needsSegment()) await this.#beginSegment();
  }

  #needsSegment(): boolean {
    if (!this.#active) return true;
    const { offset } = this.#active;
    return offset >= SEGMENT_BYTES || (offset > 0 && this.#now() - this.#activeSince >= SEGMENT_MS);
  }

  /** The one before is closed first: once a later one is there, readers hold it to be complete. */
  async #beginSegment(): Promise<void> {
    await this.#closeSegment();
    // The number is used up even if this fails.
    this.#lastSegment += 1;
    const { sync, write } = this.#options;
    this.#active = await SegmentWriter.create(this.#slot!.directory, this.#lastSegment, { sync, write });
    this.#activeSince = this.#now();
  }

  async #closeSegment(): Promise<void> {
    const active = this.#active;
    this.#active = undefined;
    await active?.close();
  }

  /** The segment may end within a line now, so that nothing may follow in it. */
  async #giveUp(error: Error): Promise<void> {
    const active = this.#active;
    this.#active = undefined;
    const torn = (await active?.abandon()) ?? 0;
    this.#bytes += torn;
    this.#report(reasonOf(error), error);
    this.#underWay.refuse(notKept(error));
  }

  /** A commit takes long, or the event loop was held up: then the other half of the time is left to it. */
  #suspect(): void {
    if (!this.#committing) return;
    const suspect = this.#commits;
    const convict = (): void => {
      if (this.#committing && this.#commits === suspect) this.#hang();
    };
    setTimeout(convict, STALL_MS / 2).unref();
  }

  #hang(): void {
    this.#stalled = true;
    const error = new Error(`the disk did nothing for ${STALL_MS} ms`);
    this.#report('slow', error);
    this.#underWay.refuse(notKept(error));
    this.#gathering.refuse(notKept(error));
    this.#gathering.clear();
    this.#ended?.resolve();
  }

  #refused(reason: JournalFailure, error: Error): Promise<never> {
    this.#report(reason, error);
    return Promise.reject(notKept(error));
  }

  #report(reason: JournalFailure, error: Error): void {
    this.#failing = true;
    this.#options.observer.failed(reason, error);
  }
}

function notKept(cause: Error): ReceiptNotKept {
  return new ReceiptNotKept(`the journal does not take the receipt: ${cause.message}`, false, { cause });
}

function reasonOf(error: unknown): JournalFailure {
  return DISK_FULL.has((error as NodeJS.ErrnoException).code) ? 'disk_full' : 'io';
}
