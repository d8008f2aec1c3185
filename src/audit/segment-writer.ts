import { close, fdatasync, fsync, open, unlink, write } from 'node:fs';
import { promisify } from 'node:util';
import { segmentPath } from './journal-segments.ts';

/** Writes bytes at the end of the file, as `fs.write` does. */
export type Write = (
  file: number,
  bytes: Buffer,
  done: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void;

export interface SegmentWriterOptions {
  /** What is appended survives the machine. */
  readonly sync: boolean;
  readonly write?: Write | undefined;
}

/** A file took fewer bytes than it was given: there is no room for more (write(2)). */
export class ShortWrite extends Error {
  readonly code = 'ENOSPC';
}

const openFile = promisify(open);
const closeFile = promisify(close);
const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);
const unlinkFile = promisify(unlink);

/** A new segment. One call at a time; after one that failed only `abandon` may follow. */
export class SegmentWriter {
  readonly segment: number;
  readonly #path: string;
  readonly #file: number;
  readonly #sync: boolean;
  readonly #write: Write;
  #offset = 0;
  #size = 0;

  /**
   * @param segment a number that none has had before
   * @throws the file system's error
   */
  static async create(directory: string, segment: number, options: SegmentWriterOptions): Promise<SegmentWriter> {
    const path = segmentPath(directory, segment);
    const writer = new SegmentWriter(segment, path, await openFile(path, 'wx', 0o600), options);
    if (options.sync) await writer.#recordName(directory);
    return writer;
  }

  private constructor(segment: number, path: string, file: number, options: SegmentWriterOptions) {
    this.segment = segment;
    this.#path = path;
    this.#file = file;
    this.#sync = options.sync;
    this.#write = options.write ?? write;
  }

  /** After what was appended. */
  get offset(): number {
    return this.#offset;
  }

  /** @throws the file system's error, ShortWrite */
  async append(bytes: Buffer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#write(this.#file, bytes, (error, written) => (error ? reject(error) : resolve(written)));
    const written = await promise;
    this.#size += written;
    if (written < bytes.length) throw new ShortWrite(`${written} of ${bytes.length} bytes were written`);
    if (this.#sync) await syncData(this.#file);
    this.#offset = this.#size;
  }

  async close(): Promise<void> {
    await closeFile(this.#file);
  }

  /**
   * Closes it after a failure; unlinks it if nothing was appended, so that a fault that lasts does not fill the
   * directory. Never rejects: the failure that led here says what is wrong.
   * @returns bytes that stay on the disk after what was appended
   */
  async abandon(): Promise<number> {
    await Promise.allSettled([closeFile(this.#file)]);
    if (this.#offset > 0) return this.#size - this.#offset;
    await Promise.allSettled([unlinkFile(this.#path)]);
    return 0;
  }

  /** A file whose directory was not synchronised may be gone after a crash of the machine, its data notwithstanding. */
  async #recordName(directory: string): Promise<void> {
    try {
      const file = await openFile(directory, 'r');
      await syncAll(file).finally(() => closeFile(file));
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }
}
