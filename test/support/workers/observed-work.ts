import type { EndReason, WorkObserver } from '../../../src/workers/worker-pool.ts';

/** Remembers what it learns. */
export class ObservedWork implements WorkObserver {
  readonly tasksDone: string[] = [];
  readonly tasksEnded: string[] = [];
  readonly failures: Error[] = [];

  done(work: string, seconds: number): void {
    if (!(seconds >= 0)) throw new RangeError(`${seconds} is no time`);
    this.tasksDone.push(work);
  }

  ended(work: string, reason: EndReason): void {
    this.tasksEnded.push(`${work} ${reason}`);
  }

  threadFailed(error: Error): void {
    this.failures.push(error);
  }
}
