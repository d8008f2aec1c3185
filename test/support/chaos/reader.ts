import { setTimeout as sleep } from 'node:timers/promises';
import { DEADLINE_MS, type Judge, ReaderMemory } from './judge.ts';
import type { Random } from './random.ts';
import type { Seat } from './seat.ts';
import { QUESTIONS } from './world.ts';

/** One render in so many waits for the last change that was answered to a writer. */
const WAITING = 5;
const PAUSE_MS = { low: 5, high: 35 };

/** Asks a replica one question after the other, as one caller does, until it is told to stop or the replica ends. */
export async function read(seat: Seat, judge: Judge, random: Random, stop: AbortSignal): Promise<void> {
  const memory = new ReaderMemory();
  while (seat.up && !stop.aborted) {
    const question = random.pick(QUESTIONS);
    const minSeq = random.between(1, WAITING) === 1 ? judge.acknowledgedSeq : 0n;
    const asked = { seat, question, minSeq, at: Date.now(), clock: performance.now() };
    try {
      const answer = await seat.clients.renders.render({ ...question.request, minSeq }, { timeoutMs: DEADLINE_MS });
      judge.answered(asked, answer, memory);
    } catch (error) {
      judge.failed(asked, error);
    }
    await sleep(random.between(PAUSE_MS.low, PAUSE_MS.high));
  }
}
