import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { LoopReport } from './event-loop-probe.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
const PROBE = pathToFileURL(join(import.meta.dirname, 'event-loop-probe.ts')).href;
const READY_POLL_MS = 50;
const KEPT_LINES = 20;

/** `platen serve` as a process of its own: free ports on loopback, an embedded PostgreSQL in a temporary directory. */
export class ServerProcess {
  readonly grpcUrl: string;
  readonly httpUrl: string;
  readonly #child: ChildProcess;
  readonly #dataDir: string;

  private constructor(child: ChildProcess, dataDir: string, grpc: string, http: string) {
    this.#child = child;
    this.#dataDir = dataDir;
    this.grpcUrl = `http://${grpc}`;
    this.httpUrl = `http://${http}`;
  }

  /** @throws Error with the end of its log if it does not start */
  static async start(): Promise<ServerProcess> {
    const dataDir = await mkdtemp(join(tmpdir(), 'platen-bench-'));
    const child = spawn(process.execPath, ['--import', PROBE, MAIN, 'serve'], {
      env: {
        PATH: process.env['PATH'],
        PLATEN_DATA_DIR: dataDir,
        PLATEN_GRPC_ADDR: '127.0.0.1:0',
        PLATEN_HTTP_ADDR: '127.0.0.1:0',
      },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    const { grpc, http } = await addresses(child);
    const server = new ServerProcess(child, dataDir, grpc, http);
    while (!(await server.#isReady())) await sleep(READY_POLL_MS);
    return server;
  }

  /** What the probe saw since it was last asked. It answers when the event loop is free again. */
  async loopReport(): Promise<LoopReport> {
    this.#child.send('report');
    const [report] = (await once(this.#child, 'message')) as [LoopReport];
    return report;
  }

  async stop(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    await closed;
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  async #isReady(): Promise<boolean> {
    const { ok } = await fetch(`${this.httpUrl}/readyz`);
    return ok;
  }
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
