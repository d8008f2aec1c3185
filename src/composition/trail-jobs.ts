import { on } from 'node:events';
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Cancelled, DomainError, Unavailable } from '../domain/errors.ts';
import type { AuditHeads, ReplayProgress, TrailJobs, VerificationProgress } from '../services/trail-jobs.ts';
import type { ReceiptFilter } from '../services/trail.ts';
import {
  unpackFailure,
  type TrailDatabase,
  type TrailJob,
  type TrailMessage,
  type TrailWork,
} from './trail-messages.ts';

/** Where the threads start: the source, or what is built of it, as this file is. */
const THREAD_FILE = join(import.meta.dirname, `trail-thread${extname(import.meta.filename)}`);

/** Each takes a processor, and two connections of the database. */
const JOBS_MAX = 2;

/** Nobody waits longer for word of a job. */
const PROGRESS_MS = 1_000;

/** When whoever was refused is to try again. */
const RETRY_DELAY_MS = 1_000;

const NOTHING_VERIFIED: VerificationProgress = { part: 'DOCUMENTS', verified: 0, total: 0 };
const NOTHING_REPLAYED: ReplayProgress = {
  total: 0,
  replayed: 0,
  matched: 0,
  mismatched: 0,
  inputMissing: 0,
  rendererUnknown: 0,
  deviations: [],
};

export interface TrailThreads {
  readonly database: TrailDatabase;
  /** Most memory of a thread's objects that live long. */
  readonly memoryMb: number;
}

/** Does each job in a thread of its own, which ends with it; a caller who takes no progress holds the job up. */
export class ThreadedTrailJobs implements TrailJobs {
  readonly #threads: TrailThreads;
  readonly #running = new Set<Worker>();
  readonly #closing = new AbortController();

  constructor(threads: TrailThreads) {
    this.#threads = threads;
  }

  verify(checkpoint: AuditHeads | undefined, signal: AbortSignal): AsyncGenerator<VerificationProgress> {
    return this.#run({ kind: 'verify', checkpoint }, NOTHING_VERIFIED, stillVerifying, signal);
  }

  replay(filter: ReceiptFilter, signal: AbortSignal): AsyncGenerator<ReplayProgress> {
    return this.#run({ kind: 'replay', filter }, NOTHING_REPLAYED, stillReplaying, signal);
  }

  /** Takes no more jobs, and ends those that run: their callers get Unavailable DRAINING. */
  async close(): Promise<void> {
    this.#closing.abort(new Unavailable('DRAINING', 'this replica is shutting down', RETRY_DELAY_MS));
    await Promise.all(Array.from(this.#running, (worker) => worker.terminate()));
  }

  /**
   * @param start what is told while the thread starts
   * @param still what is told of the last progress while there is nothing new
   */
  async *#run<P>(job: TrailJob, start: P, still: (last: P) => P, signal: AbortSignal): AsyncGenerator<P> {
    const over = AbortSignal.any([signal, this.#closing.signal]);
    if (over.aborted) throw endOf(over);
    if (this.#running.size >= JOBS_MAX) throw overloaded(job);
    const worker = this.#start(job);
    const end = () => void worker.terminate();
    over.addEventListener('abort', end);
    try {
      yield* progressOf(worker, start, still, over);
    } catch (error) {
      throw over.aborted ? endOf(over) : error;
    } finally {
      over.removeEventListener('abort', end);
      await worker.terminate();
    }
  }

  #start(job: TrailJob): Worker {
    const { database, memoryMb } = this.#threads;
    const workerData: TrailWork = { job, database };
    const worker = new Worker(THREAD_FILE, { workerData, resourceLimits: { maxOldGenerationSizeMb: memoryMb } });
    // Whoever waits for its messages learns of it; later nobody needs to.
    worker.on('error', () => {});
    worker.once('exit', () => this.#running.delete(worker));
    this.#running.add(worker);
    return worker;
  }
}

/** @throws what the thread threw; AbortError */
async function* progressOf<P>(
  worker: Worker,
  start: P,
  still: (last: P) => P,
  over: AbortSignal,
): AsyncGenerator<P> {
  const messages = on(worker, 'message', { close: ['exit'], signal: over });
  let last = still(start);
  for (;;) {
    yield last;
    const next = messages.next();
    // It may fail while its caller is told that there is nothing new; then that is thrown afterwards.
    next.catch(() => {});
    while (!(await isThereWithin(next, PROGRESS_MS))) yield still(last);
    const [message] = (await next).value as [TrailMessage<P>];
    if ('end' in message) {
      // A thread that its database does not let go is not waited for.
      await isThereWithin(messages.next(), PROGRESS_MS);
      if (message.end !== 'done') throw unpackFailure(message.end);
      return;
    }
    worker.postMessage('taken', []);
    last = message.progress;
  }
}

function stillVerifying({ part, verified, total }: VerificationProgress): VerificationProgress {
  return { part, verified, total };
}

function stillReplaying(last: ReplayProgress): ReplayProgress {
  return { ...last, deviations: [] };
}

async function isThereWithin(awaited: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: over, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([awaited.then(() => true), over]);
  } finally {
    clearTimeout(timer);
  }
}

function endOf({ reason }: AbortSignal): DomainError {
  return reason instanceof DomainError ? reason : new Cancelled();
}

function overloaded({ kind }: TrailJob): Unavailable {
  const message = `${JOBS_MAX} jobs on the trail run already; ask to ${kind} later`;
  return new Unavailable('OVERLOADED', message, RETRY_DELAY_MS);
}
