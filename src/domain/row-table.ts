/** No row. */
export const NONE = -1;

/** The words that a SHA-256 takes. */
export const HASH_WORDS = 8;

const WORD_BYTES = 4;
const HASH = /^[0-9a-f]{64}$/;
const PAGE_BITS = 10;
const PAGE_ROWS = 1 << PAGE_BITS;

interface Page {
  readonly words: Int32Array;
  /** The same memory. */
  readonly bytes: Buffer;
}

/**
 * Rows of 32-bit words, numbered from 0 on, that are added and changed but never removed. They lie in pages outside of
 * the heap: a million of them are nothing to the garbage collector, and one that is added moves no other.
 */
export class RowTable {
  readonly #width: number;
  readonly #pages: Page[] = [];
  #rows = 0;

  /** @param width words of a row */
  constructor(width: number) {
    this.#width = width;
  }

  /** Adds a row with zeros in its words. */
  append(): number {
    if (this.#rows % PAGE_ROWS === 0) this.#pages.push(newPage(this.#width));
    this.#rows += 1;
    return this.#rows - 1;
  }

  get(row: number, word: number): number {
    return this.#page(row).words[this.#start(row) + word]!;
  }

  set(row: number, word: number, value: number): void {
    this.#page(row).words[this.#start(row) + word] = value;
  }

  /** The hash that begins at that word, as 64 hexadecimal digits. */
  hash(row: number, word: number): string {
    const start = (this.#start(row) + word) * WORD_BYTES;
    return this.#page(row).bytes.toString('hex', start, start + HASH_WORDS * WORD_BYTES);
  }

  /** @throws TypeError if it is no hash; the row stays as it was */
  setHash(row: number, word: number, hash: string): void {
    if (!HASH.test(hash)) throw new TypeError(`not a hash: ${hash}`);
    this.#page(row).bytes.write(hash, (this.#start(row) + word) * WORD_BYTES, 'hex');
  }

  #page(row: number): Page {
    return this.#pages[row >>> PAGE_BITS]!;
  }

  /** Where the row begins in its page. */
  #start(row: number): number {
    return (row & (PAGE_ROWS - 1)) * this.#width;
  }
}

function newPage(width: number): Page {
  const words = new Int32Array(PAGE_ROWS * width);
  return { words, bytes: Buffer.from(words.buffer) };
}
