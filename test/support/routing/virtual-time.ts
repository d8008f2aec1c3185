import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';

const STEP_MS = 50;

interface Timer {
  readonly at: number;
  readonly work: () => void;
  /** Goes off again and again after this; undefined: once. */
  readonly everyMs: number | undefined;
}

/**
 * Time that goes on only when the test says so: a clock, and the timers of the process. (Those of `node:test` forget
 * other timers when one is cleared that has gone off already.)
 */
export class VirtualTime {
  /** Milliseconds since the epoch. */
  now = Date.UTC(2026, 0, 1);
  readonly #timers = new Map<number, Timer>();
  #timersSet = 0;
  #giveBack = () => {};

  /** Takes the timers over. `node:timers/promises` is bound by name elsewhere, hence the synchronization. */
  begin(): void {
    const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
    const { setTimeout: sleep } = timersPromises;
    this.#giveBack = () => {
      Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval });
      Object.assign(timersPromises, { setTimeout: sleep });
      syncBuiltinESMExports();
    };
    const clear = (id: number | undefined) => id !== undefined && this.#timers.delete(id);
    Object.assign(globalThis, {
      setTimeout: (work: () => void, ms: number) => this.#set(work, ms, undefined),
      setInterval: (work: () => void, ms: number) => this.#set(work, ms, ms),
      clearTimeout: clear,
      clearInterval: clear,
    });
    Object.assign(timersPromises, { setTimeout: this.#sleep });
    syncBuiltinESMExports();
  }

  /** Gives the timers back; those that are set are forgotten. */
  end(): void {
    this.#timers.clear();
    this.#giveBack();
  }

  /** Lets time pass in small steps, so that a timer that goes off sees about the time that it was set for. */
  pass(milliseconds: number): void {
    for (let left = milliseconds; left > 0; left -= STEP_MS) {
      this.now += Math.min(left, STEP_MS);
      for (const [id, timer] of [...this.#timers].toSorted(([, one], [, other]) => one.at - other.at)) {
        if (timer.at <= this.now) this.#goOff(id, timer);
      }
    }
  }

  #set(work: () => void, ms: number, everyMs: number | undefined): number {
    this.#timersSet += 1;
    this.#timers.set(this.#timersSet, { at: this.now + ms, work, everyMs });
    return this.#timersSet;
  }

  #goOff(id: number, timer: Timer): void {
    // An earlier one of the same step may have cleared it.
    if (!this.#timers.delete(id)) return;
    if (timer.everyMs !== undefined) this.#timers.set(id, { ...timer, at: timer.at + timer.everyMs });
    timer.work();
  }

  readonly #sleep = (ms: number, _value: undefined, { signal }: { signal: AbortSignal }): Promise<void> => {
    return new Promise((resolve, reject) => {
      const id = this.#set(resolve, ms, undefined);
      const end = () => {
        this.#timers.delete(id);
        reject(new DOMException('the sleep was ended', 'AbortError'));
      };
      if (signal.aborted) end();
      else signal.addEventListener('abort', end);
    });
  };
}

/** Lets everything happen that is waiting for nothing but its turn. */
export function turn(): Promise<void> {
  return new Promise(setImmediate);
}
