import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config.ts';
import type { Addresses } from '../rpc/server.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricValues } from '../telemetry/metrics.ts';
import { Opened } from './opened.ts';
import { type PrimaryMessage, type Seat, SEAT_VARIABLE, type WorkerMessage } from './worker-messages.ts';
import { type MeasuredWorker, WorkerMetrics } from './worker-metrics.ts';

/** The pause before a dead worker is replaced doubles from the one to the other while replacements die young. */
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5_000;
/** Who served for so long did not die young. */
const STEADY_MS = 10_000;
/** What a worker may need beyond the drain timeout: for calls that it ends, receipts, and connections. */
const STOP_MARGIN_MS = 10_000;
/** A worker that nothing reaches any more is about to end. */
const UNREACHABLE_MS = 5_000;

type Environment = Readonly<Record<string, string>>;

/** What workers are ended by. */
export interface Endings {
  /** Has them drain. */
  readonly stop: AbortSignal;
  /** Has those that still drain killed. */
  readonly kill: AbortSignal;
}

/** How a worker ended: by itself, by a signal, or because it could not even begin. */
interface End {
  readonly worker?: number;
  readonly code: number | null;
  readonly signal: string | null;
  readonly err?: unknown;
}

/** A worker that lives, as it is known from its messages. */
class Member implements MeasuredWorker {
  readonly worker: Worker;
  readonly #answers = new Map<number, (values: MetricValues | undefined) => void>();
  #requests = 0;
  listening = false;
  serving = false;

  constructor(worker: Worker) {
    this.worker = worker;
  }

  get id(): number {
    return this.worker.id;
  }

  values(): Promise<MetricValues | undefined> {
    const request = this.#requests++;
    const { promise, resolve } = Promise.withResolvers<MetricValues | undefined>();
    this.#answers.set(request, resolve);
    this.tell({ kind: 'values', request });
    return promise;
  }

  told(request: number, values: MetricValues): void {
    this.#answers.get(request)?.(values);
    this.#answers.delete(request);
  }

  /** What a worker that is about to end does not get, nobody misses. */
  tell(message: PrimaryMessage): void {
    this.worker.process.send(message, undefined, undefined, () => {});
  }

  end(): void {
    for (const resolve of this.#answers.values()) resolve(undefined);
  }
}

/**
 * Serves by several processes on the same addresses until stopped, and replaces those that die. This process, their
 * primary, only hands connections to them, in turn, and owns the embedded database if there is one.
 *
 * The first worker starts alone: if it cannot, neither could the others.
 *
 * @returns the exit code: that of the first worker if it ends before it has served, 0 after an orderly end
 */
export async function serveByWorkers(config: Config, logger: Logger, endings: Endings): Promise<number> {
  const opened = new Opened();
  try {
    const environment = await databaseEnvironment(config, logger, opened);
    return await new Workers(config, logger, endings, environment).serve();
  } finally {
    await opened.close();
    logger.info('stopped');
  }
}

/** An embedded database is this process's: it outlives every worker. */
async function databaseEnvironment(config: Config, logger: Logger, opened: Opened): Promise<Environment> {
  if (config.databaseUrl !== undefined) return {};
  const { databaseOf } = await import('./database-place.ts');
  const { serverUrl, ownerUrl, stop } = await databaseOf(config, logger);
  opened.add(stop);
  return { PLATEN_DATABASE_URL: serverUrl, PLATEN_DATABASE_OWNER_URL: ownerUrl };
}

class Workers {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #stop: AbortSignal;
  readonly #kill: AbortSignal;
  readonly #environment: Environment;
  readonly #metrics = new WorkerMetrics();
  readonly #members = new Map<number, Member>();
  readonly #firstServes = Promise.withResolvers<undefined>();
  #addresses: Addresses;
  #bound: Addresses | undefined;
  #served = false;
  #complete = false;

  constructor(config: Config, logger: Logger, { stop, kill }: Endings, environment: Environment) {
    this.#config = config;
    this.#logger = logger;
    this.#stop = stop;
    this.#kill = kill;
    this.#environment = environment;
    this.#addresses = { grpcAddress: config.grpcAddress, httpAddress: config.httpAddress };
  }

  async serve(): Promise<number> {
    cluster.schedulingPolicy = cluster.SCHED_RR;
    // JSON knows no infinity, which is the value of some metrics.
    cluster.setupPrimary({ serialization: 'advanced' });
    const ended = new AbortController();
    this.#stop.addEventListener('abort', () => void this.#drain(ended.signal));
    const first = this.#keepOne();
    const failed = await Promise.race([first, this.#firstServes.promise]);
    const others = failed === undefined ? Array.from({ length: this.#config.workers - 1 }, () => this.#keepOne()) : [];
    const codes = await Promise.all([first, ...others]);
    ended.abort();
    return Math.max(...codes);
  }

  /** Runs one worker after another until the stop. @returns the exit code of the last one */
  async #keepOne(): Promise<number> {
    let pause = PAUSE_MIN_MS;
    while (!this.#stop.aborted) {
      const began = performance.now();
      const end = await this.#run().catch((error: unknown): End => ({ code: null, signal: null, err: error }));
      if (this.#stop.aborted) return exitCode(end);
      if (!this.#served) {
        this.#logger.error(end, 'the first worker ended before it could serve');
        return end.code || 1;
      }
      if (performance.now() - began >= STEADY_MS) pause = PAUSE_MIN_MS;
      this.#logger.error({ ...end, pause_ms: pause }, 'a worker ended; another one takes its place');
      await sleep(pause, undefined, { signal: this.#stop }).catch(() => undefined);
      pause = Math.min(2 * pause, PAUSE_MAX_MS);
    }
    return 0;
  }

  /** Runs one worker to its end. @throws whatever the system says why it cannot */
  async #run(): Promise<End> {
    const worker = cluster.fork({ ...this.#environment, [SEAT_VARIABLE]: JSON.stringify(this.#seat()) });
    const { id, process: child } = worker;
    const ended = Promise.withResolvers<End>();
    const member = new Member(worker);
    worker.on('message', (message: WorkerMessage) => void this.#heard(member, message));
    worker.once('exit', (code, signal) => ended.resolve({ worker: id, code, signal }));
    // A connection that could not be handed to a worker that had just died is told here as well.
    worker.on('error', (error) => {
      if (child.pid === undefined) ended.reject(error);
    });
    worker.once('disconnect', () => setTimeout(() => child.kill('SIGKILL'), UNREACHABLE_MS).unref());
    this.#members.set(id, member);
    this.#logger.info({ worker: id, pid: child.pid }, 'a worker starts');
    try {
      return await ended.promise;
    } finally {
      this.#members.delete(id);
      member.end();
      this.#metrics.ended(id);
      this.#count();
    }
  }

  #seat(): Seat {
    const listensLate = this.#living().some(({ listening }) => listening);
    // A port that anybody may have is free again with the last worker on it.
    if (!listensLate) this.#addresses = this.#bound ?? this.#addresses;
    return { ...this.#addresses, listensLate };
  }

  async #heard(member: Member, message: WorkerMessage): Promise<void> {
    switch (message.kind) {
      case 'listening':
        this.#bound ??= message.addresses;
        member.listening = true;
        return;
      case 'serving':
        member.serving = true;
        this.#served = true;
        this.#firstServes.resolve(undefined);
        return this.#count();
      case 'values':
        return member.told(message.request, message.values);
      case 'page': {
        const text = await this.#metrics.page(this.#living().filter(({ listening }) => listening));
        return member.tell({ kind: 'page', request: message.request, text });
      }
    }
  }

  #count(): void {
    const { workers } = this.#config;
    const count = this.#living().filter(({ serving }) => serving).length;
    this.#metrics.serve(count);
    if (count < workers || this.#complete) return;
    this.#complete = true;
    const { grpcAddress: grpc, httpAddress: http } = this.#bound!;
    this.#logger.info({ grpc, http, workers }, 'all workers serve');
  }

  async #drain(ended: AbortSignal): Promise<void> {
    for (const { worker } of this.#living()) worker.process.kill('SIGTERM');
    const timeout = this.#config.drainTimeoutMs + STOP_MARGIN_MS;
    await sleep(timeout, undefined, { signal: AbortSignal.any([ended, this.#kill]) }).catch(() => undefined);
    for (const { id, worker } of this.#living()) {
      this.#logger.error({ worker: id }, 'a worker does not end, and is killed');
      worker.process.kill('SIGKILL');
    }
  }

  #living(): Member[] {
    return [...this.#members.values()];
  }
}

/** Of a worker that was told to end; the signal may have come before it knew what to do about it. */
function exitCode({ code, signal }: End): number {
  return code ?? (signal === 'SIGTERM' || signal === 'SIGINT' ? 0 : 1);
}
