/** So many at a time; others wait for their turn, first come, first served. */
export class Turns {
  #free: number;
  readonly #waitingMax: number;
  readonly #waiting = new Set<() => void>();

  /** @param waitingMax how many may wait */
  constructor(atOnce: number, waitingMax: number) {
    this.#free = atOnce;
    this.#waitingMax = waitingMax;
  }

  /**
   * Waits for a turn; whoever gets it gives it back.
   * @param signal gives up the wait
   * @returns false, at once, if too many wait already
   * @throws the signal's reason
   */
  async take(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    if (this.#waiting.size >= this.#waitingMax) return false;
    const { promise, resolve, reject } = Promise.withResolvers<true>();
    const go = () => resolve(true);
    const giveUp = () => {
      this.#waiting.delete(go);
      reject(signal.reason as Error);
    };
    this.#waiting.add(go);
    signal.addEventListener('abort', giveUp);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Gives a turn back, to whoever waits longest. */
  give(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
