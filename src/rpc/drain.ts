import { Unavailable } from '../domain/errors.ts';
import type { Call } from './call.ts';

const RETRY_DELAY_MS = 1000;

/** Knows whether the server drains, and the calls that it still has to answer. */
export class Drain {
  readonly #calls = new Set<Call>();
  readonly #listeners = new Set<() => void>();
  #active = false;

  /** Whether new calls are to be refused. */
  get active(): boolean {
    return this.#active;
  }

  begin(): void {
    this.#active = true;
    for (const listener of this.#listeners) listener();
  }

  /**
   * Calls back when the drain begins: a stream that takes requests one after the other has to end by itself.
   * @returns forgets the listener
   */
  onBegin(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  enter(call: Call): void {
    this.#calls.add(call);
  }

  leave(call: Call): void {
    this.#calls.delete(call);
  }

  /** Has every open call answered with UNAVAILABLE, which callers retry; to them a stream that is cut is CANCELLED. */
  abortAll(): void {
    for (const call of this.#calls) call.abort(drainingError());
  }
}

/** What a call is told that this server will not finish. */
export function drainingError(): Unavailable {
  return new Unavailable('DRAINING', 'this replica is shutting down; another one answers', RETRY_DELAY_MS);
}
