/** Thrown for what is not read here: the generated codec reads it, or says what is wrong. */
export const UNKNOWN = new Error('left to the generated codec');

/** Entries of maps are messages as well. The generated codec goes deeper. */
const MAX_NESTING = 100;

/** The longest message whose strings may be parts of one string, which any of them then keeps in memory. */
const MAX_SHARED_BYTES = 4096;
const NOT_ASCII = /[\x80-\xff]/g;

/** Reads protobuf, and never beyond the end of the message that it is in. Throws UNKNOWN. */
export class WireReader {
  readonly #bytes: Buffer;
  /** One character a byte: to cut an ASCII string from it takes a third of the time that decoding one takes. */
  readonly #shared: string | undefined;
  /** Where the next byte is that is not ASCII, as seen from some string before. */
  #notAscii = -1;
  #pos = 0;
  #end: number;
  #nesting = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
    this.#shared = bytes.length <= MAX_SHARED_BYTES ? this.#bytes.toString('latin1') : undefined;
  }

  /** Whether the message goes on. */
  more(): boolean {
    return this.#pos < this.#end;
  }

  /** A tag of one byte. The first byte of a longer one is none that anybody asks for. */
  tag(): number {
    return this.#bytes[this.#pos++]!;
  }

  /** A varint of at most 49 bits. */
  number(max: number): number {
    let byte = this.#bytes[this.#pos++]!;
    let value = byte & 0x7f;
    for (let unit = 0x80; byte >= 0x80; unit *= 0x80) {
      if (unit === 2 ** 49) throw UNKNOWN;
      byte = this.#bytes[this.#pos++]!;
      value += (byte & 0x7f) * unit;
    }
    if (this.#pos > this.#end || value > max) throw UNKNOWN;
    return value;
  }

  double(): number {
    const start = this.#pos;
    this.#pos += 8;
    if (this.#pos > this.#end) throw UNKNOWN;
    return this.#bytes.readDoubleLE(start);
  }

  string(): string {
    const end = this.#endOfNext();
    const start = this.#pos;
    this.#pos = end;
    if (this.#shared !== undefined) {
      if (this.#notAscii < start) this.#notAscii = firstNotAscii(this.#shared, start);
      if (end <= this.#notAscii) return this.#shared.slice(start, end);
    }
    const text = this.#bytes.toString('utf8', start, end);
    // Stands for bytes that are not UTF-8, or for itself.
    if (text.includes('\ufffd')) throw UNKNOWN;
    return text;
  }

  /**
   * Steps into a message.
   * @returns the end of the one around it, for `leave`
   */
  enter(): number {
    this.#nesting += 1;
    if (this.#nesting > MAX_NESTING) throw UNKNOWN;
    const outer = this.#end;
    this.#end = this.#endOfNext();
    return outer;
  }

  /** Steps out of a message that was read to its end. */
  leave(outer: number): void {
    if (this.more()) throw UNKNOWN;
    this.#end = outer;
    this.#nesting -= 1;
  }

  #endOfNext(): number {
    const length = this.number(Number.MAX_SAFE_INTEGER);
    const end = this.#pos + length;
    if (end > this.#end) throw UNKNOWN;
    return end;
  }
}

function firstNotAscii(text: string, start: number): number {
  NOT_ASCII.lastIndex = start;
  return NOT_ASCII.test(text) ? NOT_ASCII.lastIndex - 1 : text.length;
}
