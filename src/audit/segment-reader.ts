import { type FileHandle, open } from 'node:fs/promises';
import { segmentPath } from './journal-segments.ts';

/** Bytes read at a time. */
const CHUNK_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

/** Reads the lines of one segment, which may grow meanwhile, from its start. */
export class SegmentReader {
  readonly segment: number;
  readonly #file: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  /** What of the buffer was read, and not taken. */
  #chunk = Buffer.alloc(0);
  /** The beginning of the line that goes on with the chunk. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  #size = 0;

  /** @throws the file system's error */
  static async open(directory: string, segment: number): Promise<SegmentReader> {
    return new SegmentReader(segment, await open(segmentPath(directory, segment)));
  }

  private constructor(segment: number, file: FileHandle) {
    this.segment = segment;
    this.#file = file;
  }

  /** Bytes read so far. */
  get size(): number {
    return this.#size;
  }

  /** After the last line that was taken. */
  get offset(): number {
    return this.#size - this.#chunk.length - this.#piecesBytes;
  }

  /** Bytes of the next line with its line feed; undefined: it was not wholly read yet. */
  lineBytes(): number | undefined {
    const lineFeed = this.#chunk.indexOf(LINE_FEED);
    return lineFeed < 0 ? undefined : this.#piecesBytes + lineFeed + 1;
  }

  /** Takes the next line. @param bytes of `lineBytes` */
  take(bytes: number): string {
    const rest = bytes - this.#piecesBytes;
    const last = this.#chunk.subarray(0, rest - 1);
    const line = this.#pieces.length > 0 ? Buffer.concat([...this.#pieces, last]) : last;
    const text = line.toString();
    this.#pieces = [];
    this.#piecesBytes = 0;
    this.#chunk = this.#chunk.subarray(rest);
    return text;
  }

  /**
   * Reads on; only if `lineBytes` says that no line is there.
   * @returns false: there is no more now
   * @throws the file system's error; the place is kept
   */
  async fill(): Promise<boolean> {
    if (this.#chunk.length > 0) this.#pieces.push(Buffer.from(this.#chunk));
    this.#piecesBytes += this.#chunk.length;
    this.#chunk = this.#buffer.subarray(0, 0);
    const { bytesRead } = await this.#file.read(this.#buffer, 0, CHUNK_BYTES, this.#size);
    this.#size += bytesRead;
    this.#chunk = this.#buffer.subarray(0, bytesRead);
    return bytesRead > 0;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
