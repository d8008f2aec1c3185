import { Worker } from 'node:worker_threads';
import type { Adopted, Away, DrainEvent, Failed, Settled } from './drainer.ts';

/** What the thread is told; it answers with DrainEvents. */
export type DrainCommand =
  | { readonly kind: 'own'; readonly directory: string; readonly firstSegment: number }
  | { readonly kind: 'flush' | 'make partitions' }
  | { readonly kind: 'stop'; readonly withinMs: number };

export interface DrainThreadOptions<Data> {
  /** The file where the thread starts. */
  readonly filename: string;
  /** What it starts with. */
  readonly data: Data;
  readonly tell: (event: Settled | Away | Failed | Adopted) => void;
  /** Told that the thread ended by itself; another one replaces it. */
  readonly died: (error: unknown) => void;
}

/**
 * Two batches in hand, decoded and as rows, and as much again for the garbage of them. Measured: more for young objects
 * makes it no faster, and stays with the thread.
 */
const RESOURCES = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 24 };

const RESTART_MS = 1_000;
/** A thread that has ended its work, or its time, stays for longer only if the database does not answer. */
const END_GRACE_MS = 1_000;

/** The drainer's thread, seen from the one that it serves. One that dies is replaced after a second. */
export class DrainThread<Data> {
  readonly #options: DrainThreadOptions<Data>;
  readonly #ended = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #own: DrainCommand | undefined;
  #restart: NodeJS.Timeout | undefined;
  #giveUp: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(options: DrainThreadOptions<Data>) {
    this.#options = options;
    this.#start();
  }

  /** Says which slot is this process's own, and where its own segments begin in it; once is enough. */
  own(directory: string, firstSegment: number): void {
    if (this.#own) return;
    this.#own = { kind: 'own', directory, firstSegment };
    this.#send(this.#own);
  }

  flush(): void {
    this.#send({ kind: 'flush' });
  }

  makePartitions(): void {
    this.#send({ kind: 'make partitions' });
  }

  /** Drains what is there, for as long at most, and ends. The journal must have ended before. Once only. */
  async stop(withinMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#worker === undefined) {
      clearTimeout(this.#restart);
      return;
    }
    this.#send({ kind: 'stop', withinMs });
    this.#terminateAfter(withinMs + END_GRACE_MS);
    await this.#ended.promise;
    clearTimeout(this.#giveUp);
  }

  #terminateAfter(ms: number): void {
    clearTimeout(this.#giveUp);
    this.#giveUp = setTimeout(() => void this.#worker?.terminate(), ms);
  }

  #send(command: DrainCommand): void {
    this.#worker?.postMessage(command);
  }

  #start(): void {
    const { filename, data, tell } = this.#options;
    const worker = new Worker(filename, { workerData: data, resourceLimits: RESOURCES });
    let failure: unknown = new Error('it ended');
    worker.on('message', (event: DrainEvent) => {
      if (event.kind === 'ended') this.#terminateAfter(END_GRACE_MS);
      else tell(event);
    });
    worker.on('error', (error) => (failure = error));
    worker.once('exit', () => this.#exited(failure));
    this.#worker = worker;
    if (this.#own) this.#send(this.#own);
  }

  #exited(failure: unknown): void {
    this.#worker = undefined;
    if (this.#stopping) {
      this.#ended.resolve();
      return;
    }
    this.#options.died(failure);
    this.#restart = setTimeout(() => this.#start(), RESTART_MS);
  }
}
