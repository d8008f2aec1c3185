/** Frames of HTTP/2 (RFC 9113, section 6), as far as a client meets them. */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;

export const Flag = { NONE: 0, ACK: 1, END_STREAM: 1, END_HEADERS: 4, PADDED: 8 } as const;

export const Setting = { HEADER_TABLE_SIZE: 1, MAX_CONCURRENT_STREAMS: 3, INITIAL_WINDOW_SIZE: 4 } as const;

export const FRAME_HEADER_BYTES = 9;
/** What a peer may send and take unless it was told otherwise. */
export const DEFAULT_FRAME_BYTES = 16_384;
export const DEFAULT_WINDOW = 65_535;

/** Where frames go. The payload is bytes[from..to), and only that for as long as the call lasts. */
export type OnFrame = (type: number, flags: number, streamId: number, bytes: Buffer, from: number, to: number) => void;

/** Writes a frame's header at `at`; its payload goes behind it. */
export function writeFrameHeader(
  into: Buffer,
  at: number,
  frame: { readonly length: number; readonly type: number; readonly flags: number; readonly streamId: number },
): void {
  const { length, streamId } = frame;
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = frame.type;
  into[at + 4] = frame.flags;
  into[at + 5] = streamId >>> 24;
  into[at + 6] = streamId >>> 16;
  into[at + 7] = streamId >>> 8;
  into[at + 8] = streamId;
}

/** Cuts what a socket reads into frames. A frame that came in parts is put together first. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  /** The beginning of a frame whose rest has not come yet. */
  readonly #held = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + DEFAULT_FRAME_BYTES);
  #heldBytes = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** @throws RangeError on a frame that is larger than any peer may send unasked */
  push(bytes: Buffer, length: number): void {
    let at = 0;
    while (this.#heldBytes > 0 && at < length) {
      const wanted = this.#heldBytes < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : frameBytes(this.#held, 0);
      const taken = Math.min(wanted - this.#heldBytes, length - at);
      bytes.copy(this.#held, this.#heldBytes, at, at + taken);
      at += taken;
      this.#heldBytes += taken;
      if (this.#heldBytes < FRAME_HEADER_BYTES || this.#heldBytes < frameBytes(this.#held, 0)) continue;
      this.#heldBytes = 0;
      this.#read(this.#held, 0);
    }
    while (length - at >= FRAME_HEADER_BYTES && length - at >= frameBytes(bytes, at)) at = this.#read(bytes, at);
    this.#heldBytes += bytes.copy(this.#held, this.#heldBytes, at, length);
  }

  /** @returns where the next frame begins */
  #read(bytes: Buffer, at: number): number {
    const end = at + frameBytes(bytes, at);
    const streamId = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    this.#onFrame(bytes[at + 3]!, bytes[at + 4]!, streamId, bytes, at + FRAME_HEADER_BYTES, end);
    return end;
  }
}

function frameBytes(bytes: Buffer, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (length > DEFAULT_FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes`);
  return FRAME_HEADER_BYTES + length;
}
