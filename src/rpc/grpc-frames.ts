/**
 * How gRPC puts messages into a stream of bytes (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): a byte
 * that says whether the message is compressed, its length in four bytes, and the message.
 */
import { Buffer } from 'node:buffer';

/** What stands before each message. */
export const PREFIX_BYTES = 5;

/** So many pieces of a message are put together before it is complete. */
const MAX_PIECES = 1024;

/** A message that is longer than the reader takes. */
export class FrameTooLong extends Error {
  constructor(length: number, maxBytes: number) {
    super(`Received message larger than max (${length} vs ${maxBytes})`);
  }
}

/** A message is compressed, though its call names no compression. */
export class FrameCompressed extends Error {
  constructor() {
    super('Received a compressed message in a call that names no compression');
  }
}

/** Finds the messages in what arrives, however it was cut on its way. */
export class FrameReader {
  readonly #maxBytes: number;
  /** What has arrived of a message that is not complete. */
  #pieces: Buffer[] = [];
  #length = 0;
  /** Of the message with its prefix, once the prefix is there. */
  #needed = PREFIX_BYTES;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * The messages that are complete with this chunk. They are parts of it, where they are whole in it.
   * @throws FrameTooLong, FrameCompressed
   */
  read(chunk: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    const whole = this.#withPieces(chunk);
    let at = 0;
    while (whole.length - at >= PREFIX_BYTES) {
      const end = this.#endOf(whole, at);
      if (whole.length < end) break;
      messages.push(whole.subarray(at + PREFIX_BYTES, end));
      at = end;
    }
    if (at < whole.length) this.#keep(whole.subarray(at));
    return messages;
  }

  /** Where the frame ends that begins there. */
  #endOf(bytes: Buffer, begin: number): number {
    if (bytes[begin] !== 0) throw new FrameCompressed();
    const length = bytes.readUInt32BE(begin + 1);
    if (length > this.#maxBytes) throw new FrameTooLong(length, this.#maxBytes);
    this.#needed = PREFIX_BYTES + length;
    return begin + this.#needed;
  }

  /** Puts pieces together once they are a prefix or a message, so that a long message is copied once. */
  #withPieces(chunk: Buffer): Buffer {
    if (this.#length === 0) return chunk;
    if (this.#length + chunk.length < this.#needed) return this.#keepMore(chunk);
    const whole = Buffer.concat([...this.#pieces, chunk]);
    this.#pieces = [];
    this.#length = 0;
    this.#needed = PREFIX_BYTES;
    return whole;
  }

  #keepMore(chunk: Buffer): Buffer {
    this.#pieces.push(chunk);
    this.#length += chunk.length;
    // Each is an object of some hundred bytes, however small it is.
    if (this.#pieces.length === MAX_PIECES) this.#pieces = [Buffer.concat(this.#pieces)];
    return chunk.subarray(chunk.length);
  }

  #keep(rest: Buffer): void {
    this.#pieces = [rest];
    this.#length = rest.length;
    if (rest.length < PREFIX_BYTES) this.#needed = PREFIX_BYTES;
  }
}

/**
 * Frames of ordinary prompts share memory, as Node has it for what is shorter than 4 KB: to allocate and collect memory
 * for each takes 2 to 3 µs. A frame that waits for its reader keeps the others of its slab.
 */
const SLAB_BYTES = 32 * 1024;
const MAX_SHARED_BYTES = SLAB_BYTES / 4;

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let taken = 0;

/** @returns memory that nothing else is written to */
function allocate(bytes: number): Buffer {
  if (bytes > MAX_SHARED_BYTES) return Buffer.allocUnsafeSlow(bytes);
  if (taken + bytes > SLAB_BYTES) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    taken = 0;
  }
  const begin = taken;
  taken += bytes;
  return slab.subarray(begin, taken);
}

/** Makes room for the prefix of a message before it: its bytes are to follow at PREFIX_BYTES. */
export function allocateFrame(length: number): Buffer {
  const frame = allocate(PREFIX_BYTES + length);
  frame[0] = 0;
  frame.writeUInt32BE(length, 1);
  return frame;
}
