import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { messageOf } from './child-message.ts';
import type { LoopReport } from './event-loop-probe.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
const EVENT_LOOP_PROBE = join(import.meta.dirname, 'event-loop-probe.ts');
/** As the image has it (Dockerfile). */
export const NODE_FLAGS = ['--max-semi-space-size=16', '--heap-growing-percent=50', '--no-allocation-site-pretenuring'];
const READY_POLL_MS = 50;
const KEPT_LINES = 20;

/** How a server differs from one that is started with nothing said. */
export interface ServerOptions {
  /** Environment variables beside addresses and data directory: the database, Redis, bounds. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A module that is loaded ahead of the server and answers `ask`; unless named, the one that watches the loop. */
  readonly probe?: string;
  /** The `platen` command; unless named, the source as it is. */
  readonly main?: string;
}

/**
 * `platen serve` as a process of its own: free ports on loopback, a data directory of its own that goes with it, and in
 * it an embedded PostgreSQL unless the settings name another.
 */
export class ServerProcess {
  readonly grpcUrl: string;
  readonly httpUrl: string;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #dataDir: string;

  private constructor(child: ChildProcess, closed: Promise<unknown>, dataDir: string, grpc: string, http: string) {
    this.#child = child;
    this.#closed = closed;
    this.#dataDir = dataDir;
    this.grpcUrl = `http://${grpc}`;
    this.httpUrl = `http://${http}`;
  }

  /** @throws Error with the end of its log if it does not start */
  static async start({
    settings = {},
    probe = EVENT_LOOP_PROBE,
    main = MAIN,
  }: ServerOptions = {}): Promise<ServerProcess> {
    const dataDir = await mkdtemp(join(tmpdir(), 'platen-bench-'));
    const child = spawn(process.execPath, [...NODE_FLAGS, '--import', pathToFileURL(probe).href, main, 'serve'], {
      env: {
        PATH: process.env['PATH'],
        PLATEN_DATA_DIR: dataDir,
        PLATEN_GRPC_ADDR: '127.0.0.1:0',
        PLATEN_HTTP_ADDR: '127.0.0.1:0',
        ...settings,
      },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    const closed = once(child, 'close');
    try {
      const { grpc, http } = await addresses(child);
      const server = new ServerProcess(child, closed, dataDir, grpc, http);
      while (!(await server.#isReady())) await sleep(READY_POLL_MS);
      return server;
    } catch (error) {
      await end(child, closed, dataDir);
      throw error;
    }
  }

  /** What the probe that watches the loop saw since it was last asked. */
  loopReport(): Promise<LoopReport> {
    return this.ask('report');
  }

  /** The answer of the probe. It answers when the event loop is free again. @throws Error if the server has ended */
  async ask<T>(question: string): Promise<T> {
    this.#child.send(question);
    return messageOf(this.#child);
  }

  stop(): Promise<void> {
    return end(this.#child, this.#closed, this.#dataDir);
  }

  async #isReady(): Promise<boolean> {
    const { ok } = await fetch(`${this.httpUrl}/readyz`);
    return ok;
  }
}

/** Ends it in order, whether it still runs or not. */
async function end(child: ChildProcess, closed: Promise<unknown>, dataDir: string): Promise<void> {
  child.kill('SIGTERM');
  await closed;
  await rm(dataDir, { recursive: true, force: true });
}

/** Reads the log, which has to be read to its end, until the server says where it listens. */
async function addresses(child: ChildProcess): Promise<{ grpc: string; http: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ grpc: string; http: string }>();
  const last: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    last.push(line);
    if (last.length > KEPT_LINES) last.shift();
    if (line.includes('"msg":"listening"')) resolve(JSON.parse(line) as { grpc: string; http: string });
  });
  child.once('close', () => reject(new Error(`the server ended:\n${last.join('\n')}`)));
  return promise;
}
