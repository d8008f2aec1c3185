import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

const FREE_PORTS = { PLATEN_GRPC_ADDR: '127.0.0.1:0', PLATEN_HTTP_ADDR: '127.0.0.1:0' };

/** The `platen` command as a process of its own. */
export class PlatenProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #stdout = '';
  #stderr = '';

  /**
   * @param settings environment variables beside those of this process; unless they name a journal or a data directory,
   * it has a journal of its own until it ends
   */
  constructor(args: readonly string[], settings: Readonly<Record<string, string>> = {}) {
    const journal = mkdtempSync(join(tmpdir(), 'platen-journal-'));
    const ownJournal = settings['PLATEN_DATA_DIR'] === undefined && { PLATEN_AUDIT_JOURNAL_DIR: journal };
    this.#child = spawn(process.execPath, [MAIN, ...args], {
      env: { ...process.env, ...FREE_PORTS, ...ownJournal, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.#ended = once(this.#child, 'close').then(() => rmSync(journal, { recursive: true }));
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first line of its log with this message. @throws Error if it ends without one */
  async logged(message: string): Promise<Record<string, string>> {
    for (;;) {
      const line = this.#stderr.split('\n').find((each) => each.includes(`"msg":${JSON.stringify(message).slice(0, -1)}`));
      if (line !== undefined) return JSON.parse(line) as Record<string, string>;
      if (!this.running) throw new Error(`ended without logging "${message}":\n${this.#stderr}`);
      await Promise.race([once(this.#child.stderr!, 'data'), this.#ended]);
    }
  }

  /** Resolves once standard output holds the text. @throws Error if it ends without it */
  async printed(text: string): Promise<void> {
    while (!this.#stdout.includes(text)) {
      if (!this.running) throw new Error(`ended without printing "${text}":\n${this.#stdout}${this.#stderr}`);
      await Promise.race([once(this.#child.stdout!, 'data'), this.#ended]);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code, once it has ended; null if a signal ended it. */
  async exitCode(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  /** Ends it in any case. */
  async end(): Promise<void> {
    if (this.running) this.signal('SIGTERM');
    await this.#ended;
  }
}
