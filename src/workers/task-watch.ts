import { Cancelled, DeadlineExceeded, DomainError, Unavailable, WorkTooLong } from '../domain/errors.ts';
import type { WorkCall } from '../services/bounded-work.ts';
import { processClock, startedAt, startMark } from './start-mark.ts';

/** What is left of a deadline for the answer itself, in milliseconds. */
const ANSWER_MARGIN_MS = 20;
/** When whoever was refused is to try again. */
export const RETRY_DELAY_MS = 1_000;

/** A task's refusal where too much waits. */
export function overloaded(work: string): Unavailable {
  return new Unavailable('OVERLOADED', `too much waits for ${work}; try again`, RETRY_DELAY_MS);
}

/**
 * Watches over one task's time: it may wait as long as it may run, each for the limit, and neither beyond the call's
 * deadline or after its caller went away.
 */
export class TaskWatch {
  /** Marked by the thread that begins the task. */
  readonly mark = startMark();
  readonly #work: string;
  readonly #limitMs: number;
  readonly #call: WorkCall;
  readonly #since = processClock();
  readonly #end = new AbortController();
  readonly #onCallEnd = () => this.end(endOf(this.#call));
  #timer: NodeJS.Timeout | undefined;

  constructor(work: string, limitMs: number, call: WorkCall) {
    this.#work = work;
    this.#limitMs = limitMs;
    this.#call = call;
    call.signal.addEventListener('abort', this.#onCallEnd);
    if (call.signal.aborted) this.#onCallEnd();
    else this.#check();
  }

  /** Aborts when the task's time is over; the reason is the DomainError that the task ends with. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** Seconds since the watch began. */
  get seconds(): number {
    return (processClock() - this.#since) / 1_000;
  }

  /** Ends the task. The first reason counts. */
  end(reason: DomainError): void {
    this.#end.abort(reason);
  }

  /** Watches no longer: the task is done. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#call.signal.removeEventListener('abort', this.#onCallEnd);
  }

  /** Ends the task if its time is over; else looks again when that can be at the soonest. */
  #check(): void {
    const started = startedAt(this.mark);
    const left = (started ?? this.#since) + this.#limitMs - processClock();
    const leftOfCall = (this.#call.deadline ?? Infinity) - ANSWER_MARGIN_MS - Date.now();
    if (leftOfCall <= 0) return this.end(new DeadlineExceeded());
    if (left <= 0) {
      return this.end(started === undefined ? overloaded(this.#work) : new WorkTooLong(this.#work, this.#limitMs));
    }
    this.#timer = setTimeout(() => this.#check(), Math.ceil(Math.min(left, leftOfCall)));
  }
}

function endOf({ signal }: WorkCall): DomainError {
  return signal.reason instanceof DomainError ? signal.reason : new Cancelled();
}
