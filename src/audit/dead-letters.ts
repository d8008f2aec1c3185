import { open } from 'node:fs/promises';
import type { DeadLetter } from './drainer.ts';

/** Values are in it. */
const MODE = 0o600;

/**
 * Lines of journals that the chain does not take, for operators: one JSON object a line, with the time, the reason and
 * the line as it was. Several processes may append to one file.
 */
export class DeadLetterFile {
  readonly #path: string;
  #interrupted = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Appends and synchronizes them. @throws the file system's error; what was written of them may stay */
  async add(letters: readonly DeadLetter[]): Promise<void> {
    const time = new Date().toISOString();
    const lines = letters.map(({ reason, line }) => `${JSON.stringify({ time, reason, line })}\n`);
    const file = await open(this.#path, 'a', MODE);
    const interrupted = this.#interrupted;
    this.#interrupted = true;
    try {
      await file.appendFile((interrupted ? '\n' : '') + lines.join(''));
      await file.datasync();
    } finally {
      await file.close();
    }
    this.#interrupted = false;
  }
}
