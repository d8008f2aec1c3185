import { allocateFrame, PREFIX_BYTES } from './grpc-frames.ts';

/** Wire types: the lower bits of a tag. */
const VARINT = 0;
const BYTES = 2;

/** Longer messages get a buffer of their own. */
const SCRATCH_BYTES = 256 * 1024;
/** A tag and a number, or a tag and a length: they take no more. */
const MAX_HEAD_BYTES = 16;
/** Up to here writing a string byte by byte is faster than a call into Node. */
const MAX_SHORT = 16;

/** Writes protobuf, one message after the other into the same memory. */
export class WireWriter {
  #bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #pos = 0;

  /** Begins a message. One that was not finished is forgotten. */
  begin(): void {
    this.#pos = 0;
  }

  /** @returns the message in its frame, in memory that nothing else is written to */
  finish(): Buffer {
    const frame = allocateFrame(this.#pos);
    this.#bytes.copy(frame, PREFIX_BYTES, 0, this.#pos);
    if (this.#bytes.length > SCRATCH_BYTES) this.#bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    return frame;
  }

  /** A field that is left out if it is empty. An unpaired surrogate becomes U+FFFD. */
  string(field: number, text: string | undefined): void {
    if (text === undefined || text === '') return;
    const { length } = text;
    // A UTF-16 code unit takes at most three bytes.
    this.#reserve(MAX_HEAD_BYTES + 3 * length);
    this.#varint((field << 3) | BYTES);
    if (length <= MAX_SHORT && this.#writeAscii(text)) return;
    const begin = this.#pos + varintBytes(length);
    const bytes = this.#bytes.write(text, begin);
    this.#endBytes(begin, bytes, length);
  }

  /** A field that is left out if it is 0; exact up to 2^53. */
  number(field: number, value: number): void {
    if (value === 0) return;
    this.#reserve(MAX_HEAD_BYTES);
    this.#varint((field << 3) | VARINT);
    this.#varint(value);
  }

  /** Fields that are encoded already. */
  raw(fields: Uint8Array): void {
    this.#reserve(fields.length);
    this.#bytes.set(fields, this.#pos);
    this.#pos += fields.length;
  }

  /**
   * Begins a message in a field.
   * @param guess of its length in bytes: a good one saves moving it
   * @returns where it begins, for `close`
   */
  open(field: number, guess: number): number {
    this.#reserve(MAX_HEAD_BYTES);
    this.#varint((field << 3) | BYTES);
    this.#pos += varintBytes(guess);
    return this.#pos;
  }

  /** Ends the message that began there, with the guess of `open`. */
  close(begin: number, guess: number): void {
    this.#reserve(MAX_HEAD_BYTES);
    this.#endBytes(begin, this.#pos - begin, guess);
  }

  /** Puts the length before bytes that were written behind room for a guess of it. */
  #endBytes(begin: number, length: number, guess: number): void {
    const room = varintBytes(guess);
    const shift = varintBytes(length) - room;
    if (shift !== 0) this.#bytes.copyWithin(begin + shift, begin, begin + length);
    this.#pos = begin - room;
    this.#varint(length);
    this.#pos += length;
  }

  /** Writes length and text; whatever it wrote of text that is not ASCII is to be written over. */
  #writeAscii(text: string): boolean {
    const target = this.#bytes;
    let pos = this.#pos;
    target[pos++] = text.length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      target[pos++] = unit;
    }
    this.#pos = pos;
    return true;
  }

  #varint(value: number): void {
    while (value >= 0x80) {
      this.#bytes[this.#pos++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.#pos++] = value;
  }

  /** Makes room for so many bytes. */
  #reserve(bytes: number): void {
    const least = this.#pos + bytes;
    if (least <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(least, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#pos);
    this.#bytes = larger;
  }
}

/** Of a length. */
function varintBytes(length: number): number {
  let bytes = 1;
  for (let most = 0x80; length >= most; most *= 0x80) bytes += 1;
  return bytes;
}
