import { unlink } from 'node:fs/promises';
import { comparePositions, listSegments, type Position, segmentPath, START } from './journal-segments.ts';
import { SegmentReader } from './segment-reader.ts';

/** What was read. */
export interface Reading {
  /** Complete lines, without line feeds; `decodeLine` says whether they are intact. None: only the place moved. */
  readonly entries: readonly { readonly line: string }[];
  /** After the last of them. */
  readonly end: Position;
  /** Complete segments that end without a line feed: in a write that was interrupted, and never acknowledged. */
  readonly torn: number;
}

/**
 * Reads each byte of a slot's segments once, from the first segment there is, and keeps its place in memory: another
 * reader begins at the start again. A segment is complete once a later one is there.
 */
export class JournalReader {
  readonly #directory: string;
  #slotComplete = false;
  #source: SegmentReader | undefined;
  #sourceComplete = false;
  #end = START;
  #torn = 0;
  /** Ends of the segments that were read and not unlinked. */
  readonly #finished: Position[] = [];
  #freed = 0;

  /** @param directory of a slot that this process owns */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * What is there now, bounded by lines and bytes, but always one line at least; a line that is not wholly there yet
   * waits. When a segment turns out to be complete the place moves, even if there are no more lines: ask `drained`.
   * One call at a time.
   * @returns undefined: nothing new
   * @throws the file system's error; nothing is passed over
   */
  async read(maxLines: number, maxBytes: number): Promise<Reading | undefined> {
    const start = this.#end;
    const entries: { line: string }[] = [];
    let bytes = 0;
    while (entries.length < maxLines) {
      const length = this.#source?.lineBytes();
      if (length === undefined) {
        if (!(await this.#advance(start))) break;
      } else {
        if (entries.length > 0 && bytes + length > maxBytes) break;
        entries.push({ line: this.#take(this.#source!, length) });
        bytes += length;
      }
    }
    if (this.#end === start) return undefined;
    const torn = this.#torn;
    this.#torn = 0;
    return { entries, end: this.#end, torn };
  }

  /**
   * Nothing will be written to this slot any more, so that its last segment is complete too: it is an adopted one, or
   * its journal has ended (`Journal.end`).
   */
  complete(): void {
    this.#slotComplete = true;
  }

  /**
   * Unlinks the complete segments that were read and end at or before the place.
   * @returns bytes freed, for `Journal.freed`
   * @throws the file system's error; what could not be unlinked is tried again with the next call
   */
  async drained(position: Position): Promise<number> {
    for (const end of this.#finished.filter((each) => comparePositions(each, position) <= 0)) {
      const bytes = await this.#unlink(end);
      this.#freed += bytes;
      this.#finished.shift();
    }
    const freed = this.#freed;
    this.#freed = 0;
    return freed;
  }

  /** Closes the file that is open; nothing may be read any more. */
  async close(): Promise<void> {
    await this.#source?.close();
  }

  #take(source: SegmentReader, bytes: number): string {
    const line = source.take(bytes);
    this.#end = { segment: source.segment, offset: source.offset };
    return line;
  }

  /**
   * @param start of the reading: what came since is given out even if this fails, and the failure is met again
   * @returns false: there is no more now
   */
  async #advance(start: Position): Promise<boolean> {
    try {
      return this.#source ? await this.#readOn(this.#source) : await this.#openNext();
    } catch (error) {
      if (this.#end === start) throw error;
      return false;
    }
  }

  async #readOn(source: SegmentReader): Promise<boolean> {
    if (await source.fill()) return true;
    if (!this.#sourceComplete) {
      const segments = await listSegments(this.#directory);
      // What was written before the later segment was made may have come since the end was read: it is read once more.
      this.#sourceComplete = this.#slotComplete || segments.some((segment) => segment > source.segment);
      return this.#sourceComplete;
    }
    if (source.offset < source.size) this.#torn += 1;
    this.#end = { segment: source.segment, offset: source.size };
    this.#finished.push(this.#end);
    this.#source = undefined;
    this.#sourceComplete = false;
    await source.close();
    return true;
  }

  async #openNext(): Promise<boolean> {
    const segment = (await listSegments(this.#directory)).find((each) => each > this.#end.segment);
    if (segment === undefined) return false;
    try {
      this.#source = await SegmentReader.open(this.#directory, segment);
    } catch (error) {
      if (!isMissing(error)) throw error;
      // Its writer unlinks a segment in which it could keep nothing.
      this.#end = { segment, offset: 0 };
    }
    return true;
  }

  /** @returns bytes freed */
  async #unlink({ segment, offset }: Position): Promise<number> {
    try {
      await unlink(segmentPath(this.#directory, segment));
      return offset;
    } catch (error) {
      if (!isMissing(error)) throw error;
      return 0;
    }
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
