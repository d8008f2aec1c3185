import { SingleBar } from 'cli-progress';
import type { Output } from './terminal.ts';

/** How often a line is written where no person looks on, in milliseconds. */
const LINE_INTERVAL_MS = 5_000;

const ERASE_LINE = '\r\x1b[K';
const SAVE_CURSOR = '\x1b7';
const RESTORE_CURSOR = '\x1b8';

/** How far a long job is, on standard error: a bar for a person, otherwise a line at most every 5 s. */
export class Progress {
  readonly #stderr: Output;
  readonly #now: () => number;
  #told: number;
  #bar: SingleBar | undefined;
  #stage = '';

  /** @param now milliseconds of any origin */
  constructor(stderr: Output, now: () => number = Date.now) {
    this.#stderr = stderr;
    this.#now = now;
    this.#told = now();
  }

  /** Tells how much of a stage is done. */
  show(stage: string, done: bigint, total: bigint): void {
    if (this.#stderr.isTTY === true) this.#draw(stage, Number(done), Number(total));
    else this.#tell(`${stage}: ${done} of ${total}\n`);
  }

  /** Prints something else, with the bar out of the way. */
  aside(print: () => void): void {
    if (this.#bar !== undefined) this.#stderr.write(ERASE_LINE);
    print();
  }

  /** Takes the bar off the screen. To be called whatever happened: the bar keeps the process alive. */
  end(): void {
    this.#bar?.stop();
  }

  #draw(stage: string, done: number, total: number): void {
    this.#bar ??= new SingleBar({
      format: '{stage} [{bar}] {percentage}% {value}/{total}, {eta_formatted} to go',
      barsize: 24,
      stream: barStream(this.#stderr) as NodeJS.WritableStream,
      clearOnComplete: true,
      linewrap: true,
      forceRedraw: true,
    });
    if (stage !== this.#stage) {
      this.#stage = stage;
      this.#bar.start(total, done, { stage });
    } else {
      this.#bar.setTotal(total);
      this.#bar.update(done);
    }
  }

  #tell(line: string): void {
    if (this.#now() - this.#told < LINE_INTERVAL_MS) return;
    this.#told = this.#now();
    this.#stderr.write(line);
  }
}

/**
 * The bar goes back to the place where it began; that is another line once something else was printed. Kept from
 * saving places, it stays on the line that it is on.
 */
function barStream(stderr: Output): Output {
  return {
    isTTY: true,
    get columns() {
      return stderr.columns;
    },
    write: (text) => text === SAVE_CURSOR || text === RESTORE_CURSOR || stderr.write(text),
  };
}
