/** How long work of many pieces may hold up the event loop before whatever else waits has its turn. */
const TURN_MS = 10;

/**
 * Shares the event loop among work that comes in many pieces: as long as a turn of the loop has time left, pieces begin
 * at once; then they wait, in their order, for the next one.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  /** In milliseconds of the monotonic clock; undefined: nothing has begun in this turn. */
  #began: number | undefined;

  /** Begins a piece, now or in a later turn. It must not throw. */
  begin(piece: () => void): void {
    if (this.#waiting.length === 0 && this.#hasTime()) piece();
    else this.#waiting.push(piece);
  }

  /** Resolves in a later turn that has time: for pieces that have waited, perhaps many for the same. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      // Sees to it that there is a later turn.
      this.#hasTime();
    });
  }

  #hasTime(): boolean {
    const now = performance.now();
    if (this.#began === undefined) {
      this.#began = now;
      setImmediate(() => void this.#resume());
    }
    return now - this.#began < TURN_MS;
  }

  async #resume(): Promise<void> {
    this.#began = undefined;
    while (this.#waiting.length > 0 && this.#hasTime()) {
      this.#waiting.shift()!();
      // Lets it get on with what needs no waiting, so that its share of the turn is known.
      await undefined;
    }
  }
}
