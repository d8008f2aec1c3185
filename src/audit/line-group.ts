import type { Position } from './journal-segments.ts';

/** Where a group begins, and what it goes back to once it was larger than that. */
const BUFFER_BYTES = 256 * 1024;

/** Most bytes of UTF-8 that a unit of UTF-16 takes. */
const UNIT_BYTES = 3;

interface Append {
  /** Of its line, from the start of the group. */
  readonly end: number;
  readonly resolve: (position: Position) => void;
  readonly reject: (error: Error) => void;
}

/** Lines that are written together, as their bytes, and who waits for them. To be used again and again. */
export class LineGroup {
  #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #length = 0;
  #appends: Append[] = [];

  /** Bytes of all lines. */
  get length(): number {
    return this.#length;
  }

  /** Valid until `clear`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** @returns settled by `keep` or `refuse` */
  add(line: string): Promise<Position> {
    const most = this.#length + line.length * UNIT_BYTES;
    if (most > this.#buffer.length) this.#grow(most);
    this.#length += this.#buffer.write(line, this.#length);
    const end = this.#length;
    return new Promise((resolve, reject) => {
      this.#appends.push({ end, resolve, reject });
    });
  }

  /** The group was written from that place on. Nobody waits any more. */
  keep({ segment, offset }: Position): void {
    const appends = this.#appends;
    this.#appends = [];
    for (const { end, resolve } of appends) resolve({ segment, offset: offset + end });
  }

  /** The group will not be kept. Nobody waits any more. */
  refuse(error: Error): void {
    const appends = this.#appends;
    this.#appends = [];
    for (const { reject } of appends) reject(error);
  }

  /** Drops the lines; nobody may wait for them. */
  clear(): void {
    this.#length = 0;
    if (this.#buffer.length > BUFFER_BYTES) this.#buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  }

  #grow(most: number): void {
    const buffer = Buffer.allocUnsafeSlow(Math.max(most, 2 * this.#buffer.length));
    this.#buffer.copy(buffer, 0, 0, this.#length);
    this.#buffer = buffer;
  }
}
