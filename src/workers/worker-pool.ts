import { Piscina } from 'piscina';
import { DomainError, Unavailable, WorkTooLong } from '../domain/errors.ts';
import type { WorkCall } from '../services/bounded-work.ts';
import { unpackError } from './error-transfer.ts';
import type { TaskAnswer, TaskRequest, TaskTable } from './task-runner.ts';
import { overloaded, RETRY_DELAY_MS, TaskWatch } from './task-watch.ts';
import { Turns } from './turns.ts';

/** Why a task has no answer, though its caller still waits. */
export type EndReason = 'too_long' | 'overloaded' | 'out_of_memory' | 'crashed';

/** Learns what threads do; must not throw. */
export interface WorkObserver {
  /** @param seconds from its request to its end, however it ended; the wait for a thread included */
  done(work: string, seconds: number): void;
  ended(work: string, reason: EndReason): void;
  /** A thread failed while it had no task; another one takes its place when it is needed. */
  threadFailed(error: unknown): void;
}

export interface WorkerPoolOptions {
  /** The file where threads start. Its default export is a taskRunner. */
  readonly filename: string;
  /** Most threads. They start when they are needed. */
  readonly threads: number;
  /** Most tasks that wait for a thread. */
  readonly queueMax: number;
  /** Most memory of a thread's objects that live long. */
  readonly memoryMb: number;
  readonly observer: WorkObserver;
}

/** How long a task may take. */
export interface TaskBounds {
  /** As long it may run, and as long it may wait for a thread, in milliseconds. */
  readonly limitMs: number;
  readonly call: WorkCall;
}

type Input<T extends TaskTable, W extends keyof T> = Parameters<T[W]>[0];
type Output<T extends TaskTable, W extends keyof T> = Awaited<ReturnType<T[W]>>;

/** A thread that had no task for so long goes, with its caches: it takes some 35 MB, its start up to half a second. */
const IDLE_MS = 60_000;
/** Threads live on short-lived objects mostly; V8 would reserve more the more memory the machine has. */
const YOUNG_MEMORY_MB = 48;
/** How long the tasks that run when the pool closes may take. */
const CLOSE_GRACE_MS = 1_000;

/** A task's end because its thread had no memory left. */
class WorkTooLarge extends WorkTooLong {
  constructor(work: string, limitMs: number, memoryMb: number) {
    super(work, limitMs);
    this.message = `${work} was ended at ${memoryMb} MiB of memory; make what it works on shorter or simpler`;
  }
}

/**
 * Runs tasks in threads, one at a time in each. A task whose time is over ends with its thread; a thread that ended,
 * or crashed, is replaced, and takes no other task with it.
 */
export class WorkerPool<T extends TaskTable> {
  readonly #memoryMb: number;
  readonly #observer: WorkObserver;
  readonly #threads: Piscina<TaskRequest, TaskAnswer>;
  // Piscina neither bounds the queue of tasks that have a signal, nor starts a thread for them where one was killed.
  readonly #turns: Turns;
  /** The tasks that are not done, those that wait included. */
  readonly #running = new Map<TaskWatch, Promise<TaskAnswer>>();
  #closed = false;

  constructor({ filename, threads, queueMax, memoryMb, observer }: WorkerPoolOptions) {
    this.#memoryMb = memoryMb;
    this.#observer = observer;
    this.#turns = new Turns(threads, queueMax);
    this.#threads = new Piscina({
      filename,
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: IDLE_MS,
      recordTiming: false,
      resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: YOUNG_MEMORY_MB },
    });
    this.#threads.on('error', (error) => observer.threadFailed(error));
  }

  /**
   * Runs a task.
   * @throws WorkTooLong if it runs longer than the limit, or takes too much memory
   * @throws Unavailable OVERLOADED if too much waits, or the task waits longer than the limit; DRAINING once closed
   * @throws DeadlineExceeded shortly before the call's deadline
   * @throws Cancelled, or the signal's reason if that is a DomainError, when the caller goes away
   * @throws whatever the task throws; Error if its thread crashed
   */
  async run<W extends keyof T & string>(
    work: W,
    input: Input<T, W>,
    { limitMs, call }: TaskBounds,
  ): Promise<Output<T, W>> {
    if (this.#closed) throw draining();
    const watch = new TaskWatch(work, limitMs, call);
    const answered = this.#answer({ work, input, mark: watch.mark }, limitMs, watch.signal);
    this.#running.set(watch, answered);
    try {
      const answer = await answered;
      if (!answer.ok) throw unpackError(answer.error);
      return answer.value as Output<T, W>;
    } finally {
      watch.stop();
      this.#running.delete(watch);
      this.#observer.done(work, watch.seconds);
    }
  }

  /** Takes no more tasks, lets those that it has finish for a second, and ends the threads. */
  async close(): Promise<void> {
    this.#closed = true;
    const timer = setTimeout(() => {
      for (const watch of this.#running.keys()) watch.end(draining());
    }, CLOSE_GRACE_MS);
    await Promise.allSettled(this.#running.values());
    clearTimeout(timer);
    await this.#threads.destroy();
  }

  async #answer(request: TaskRequest, limitMs: number, signal: AbortSignal): Promise<TaskAnswer> {
    try {
      if (!(await this.#turns.take(signal))) throw overloaded(request.work);
      try {
        return await this.#threads.run(request, { signal });
      } finally {
        this.#turns.give();
      }
    } catch (thrown) {
      const error = this.#whyEnded(request.work, limitMs, signal.aborted ? signal.reason : thrown);
      const reason = reasonOf(error);
      if (reason !== undefined) this.#observer.ended(request.work, reason);
      throw error;
    }
  }

  #whyEnded(work: string, limitMs: number, error: unknown): unknown {
    const outOfMemory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
    return outOfMemory ? new WorkTooLarge(work, limitMs, this.#memoryMb) : error;
  }
}

function draining(): Unavailable {
  return new Unavailable('DRAINING', 'this replica is shutting down; another one answers', RETRY_DELAY_MS);
}

/** Undefined if it is the call that ended, or the server. */
function reasonOf(error: unknown): EndReason | undefined {
  if (error instanceof WorkTooLarge) return 'out_of_memory';
  if (error instanceof WorkTooLong) return 'too_long';
  if (error instanceof Unavailable && error.reason === 'OVERLOADED') return 'overloaded';
  return error instanceof DomainError ? undefined : 'crashed';
}
