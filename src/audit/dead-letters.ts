import { open, type FileHandle } from 'node:fs/promises';
import type { DeadLetter } from './drainer.ts';

/** Values are in it. */
const MODE = 0o600;
const LINE_FEED = 0x0a;

/**
 * Lines of journals that the chain does not take, for operators: one JSON object a line, with the time, the reason and
 * the line as it was. Several processes may append to one file.
 */
export class DeadLetterFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Appends and synchronizes them. @throws the file system's error; what was written of them may stay */
  async add(letters: readonly DeadLetter[]): Promise<void> {
    const time = new Date().toISOString();
    const lines = letters.map(({ reason, line }) => `${JSON.stringify({ time, reason, line })}\n`);
    const file = await open(this.#path, 'a+', MODE);
    try {
      await file.appendFile(((await endsWithinLine(file)) ? '\n' : '') + lines.join(''));
      await file.datasync();
    } finally {
      await file.close();
    }
  }
}

/** As after a write that failed, or whose process was killed. */
async function endsWithinLine(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size === 0) return false;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] !== LINE_FEED;
}
