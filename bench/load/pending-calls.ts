import type { Call } from './message.ts';

/**
 * Calls that were sent and not settled, in any order. Not a Set: one from which each call comes and goes keeps calls in
 * memory, and the pauses in which they are collected would be the generator's own.
 */
export class PendingCalls {
  readonly #calls: Call[] = [];

  get size(): number {
    return this.#calls.length;
  }

  add(call: Call): void {
    call.index = this.#calls.length;
    this.#calls.push(call);
  }

  /** @returns whether it was there */
  remove(call: Call): boolean {
    const { index } = call;
    if (index < 0) return false;
    call.index = -1;
    const last = this.#calls.pop()!;
    if (last === call) return true;
    last.index = index;
    this.#calls[index] = last;
    return true;
  }

  /** Those that are there now. */
  all(): readonly Call[] {
    return this.#calls.slice();
  }
}
