import { Unavailable } from '../domain/errors.ts';
import type { Call } from './call.ts';

const RETRY_DELAY_MS = 1000;

/** A call that is to be answered, and where it is among them. */
interface OpenCall {
  readonly call: Call;
  index: number;
}

/** Knows whether the server drains, and the calls that it still has to answer. */
export class Drain {
  /**
   * In any order. Not a Set: V8 makes a new table for it every few calls, and through those that it left it keeps all
   * calls since in memory until the next full collection of garbage.
   */
  readonly #calls: OpenCall[] = [];
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

  /** @returns for `leave` */
  enter(call: Call): OpenCall {
    const open = { call, index: this.#calls.length };
    this.#calls.push(open);
    return open;
  }

  /** Once for each that entered. */
  leave({ index }: OpenCall): void {
    const last = this.#calls.pop()!;
    if (last.index === index) return;
    last.index = index;
    this.#calls[index] = last;
  }

  /** Has every open call answered with UNAVAILABLE, which callers retry; to them a stream that is cut is CANCELLED. */
  abortAll(): void {
    for (const { call } of this.#calls) call.abort(drainingError());
  }
}

/** What a call is told that this server will not finish. */
export function drainingError(): Unavailable {
  return new Unavailable('DRAINING', 'this replica is shutting down; another one answers', RETRY_DELAY_MS);
}
