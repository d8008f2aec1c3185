import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { Channel } from './channel.ts';
import { framed, type Call } from './message.ts';
import type { LoadTarget } from './load.ts';
import { PendingCalls } from './pending-calls.ts';
import { Tally, type TallyReport } from './tally.ts';

/** How the calls of one process are made. */
export type Pace =
  | { readonly kind: 'closed'; readonly inFlight: number }
  /**
   * In calls a second; the first is due `phase` milliseconds after the start. Those of the warm-up, which comes before
   * the seconds of the plan, count only if they fail.
   */
  | { readonly kind: 'open'; readonly rate: number; readonly phase: number; readonly warmUpSeconds: number };

/** What one process does. */
export interface Plan {
  readonly target: LoadTarget;
  readonly connections: number;
  readonly seconds: number;
  readonly pace: Pace;
}

/** How long answers are waited for after the last call was sent. */
const GIVE_UP_MS = 10_000;
const LATE_MS = 1;
/**
 * Node's timers are too coarse for calls that are due every few dozen microseconds, and spinning takes a core. So the
 * thread sleeps in the kernel until the next call is due, though for so short that answers are noticed soon: what the
 * kernel adds to a nap included, a latency is some 0.1 ms too long at most.
 */
const NAP_MS = 0.02;
/** With so much time until the next call the event loop may wait, which notices answers at once. */
const IDLE_MS = 3;
const NOBODY = new Int32Array(new SharedArrayBuffer(4));

/** Makes the calls of a plan over connections of its own. */
export class Driver {
  readonly #plan: Plan;
  readonly #messages: readonly Buffer[];
  readonly #channels: readonly Channel[];
  readonly #tally = new Tally();
  readonly #pending = new PendingCalls();
  readonly #done = Promise.withResolvers<void>();
  #submitted = 0;
  /** Calls that were due before are those of the warm-up. */
  #countedFrom = 0;
  #isOver = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#messages = plan.target.messages.map(framed);
    const { connections, target } = plan;
    this.#channels = Array.from({ length: connections }, (_, n) => new Channel(target, this.#hearing(n)));
  }

  /** @throws Error if there is no server */
  async connect(): Promise<void> {
    await Promise.all(this.#channels.map((channel) => channel.open()));
  }

  /** Ends when every call was answered, or has not been for ten seconds after the last was due: it is an error then. */
  async run(): Promise<TallyReport> {
    const { pace } = this.#plan;
    const start = performance.now();
    this.#countedFrom = start + (pace.kind === 'open' ? 1000 * pace.warmUpSeconds : 0);
    await (pace.kind === 'closed' ? this.#runClosed(pace.inFlight) : this.#runOpen(start, pace));
    this.#isOver = true;
    if (this.#pending.size > 0) await Promise.race([this.#done.promise, sleep(GIVE_UP_MS, undefined, { ref: false })]);
    const end = performance.now();
    for (const call of this.#pending.all()) {
      this.#tally.countUnanswered();
      this.#settle(call, false);
    }
    for (const channel of this.#channels) channel.close();
    return this.#tally.report((end - this.#countedFrom) / 1000);
  }

  async #runClosed(inFlight: number): Promise<void> {
    for (const channel of this.#channels) {
      for (let n = 0; n < inFlight; n += 1) this.#submit(channel, performance.now());
    }
    await sleep(this.#plan.seconds * 1000);
  }

  async #runOpen(start: number, { rate, phase, warmUpSeconds }: Extract<Pace, { kind: 'open' }>): Promise<void> {
    const firstDue = start + phase;
    const calls = Math.round(rate * (warmUpSeconds + this.#plan.seconds));
    for (let sent = 0; sent < calls; ) {
      const spare = firstDue + (sent * 1000) / rate - performance.now();
      if (spare > IDLE_MS) await sleep(spare - IDLE_MS + 1);
      else if (spare > 0) Atomics.wait(NOBODY, 0, 0, Math.min(spare, NAP_MS));
      const now = performance.now();
      for (; sent < calls; sent += 1) {
        const due = firstDue + (sent * 1000) / rate;
        if (due > now) break;
        if (now - due > LATE_MS && due >= this.#countedFrom) this.#tally.countLate();
        this.#submit(this.#channels[sent % this.#channels.length]!, due);
      }
      // Frames leave, and answers are read.
      await immediate();
    }
  }

  #submit(channel: Channel, due: number): void {
    const call = { due, message: this.#messages[this.#submitted % this.#messages.length]!, index: -1 };
    this.#submitted += 1;
    this.#pending.add(call);
    channel.submit(call);
  }

  #hearing(channel: number): (call: Call, isAnswered: boolean) => void {
    return (call, isAnswered) => {
      this.#settle(call, isAnswered);
      if (this.#isOver && this.#pending.size === 0) this.#done.resolve();
      if (!this.#isOver && this.#plan.pace.kind === 'closed') this.#submit(this.#channels[channel]!, performance.now());
    };
  }

  #settle(call: Call, isAnswered: boolean): void {
    if (!this.#pending.remove(call)) return;
    if (isAnswered && call.due < this.#countedFrom) return;
    this.#tally.count(isAnswered);
    this.#tally.record(performance.now() - call.due);
  }
}
