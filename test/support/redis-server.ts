import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisBinary } from './redis-binary.ts';

/** A Redis server for tests, on a port of its own, without files that outlive it. */
export interface TestRedis {
  /** As `redis://127.0.0.1:6379`; without a password, which the arguments may ask for. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it in order, whether it runs, is paused or has ended. */
  stop(): Promise<void>;
  /** Ends it as a crash does. */
  kill(): Promise<void>;
  /** Freezes it: connections stay open, nothing is answered. */
  pause(): void;
  resume(): void;
  /** Starts it again on the same port after `stop` or `kill`, empty. */
  restart(): Promise<void>;
}

const READY = /Ready to accept connections|Sentinel ID is/;
const ATTEMPTS = 5;

const running = new Set<ChildProcess>();

/**
 * Starts a server of its own.
 * @param args as of redis-server; `{port}` and `{dir}` in them are filled in, and what `files` names is put there
 * @param files by name, written into the server's folder before it starts
 */
export async function startRedis(
  args: readonly string[] = ['--port', '{port}'],
  files: Readonly<Record<string, string>> = {},
): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'platen-redis-'));
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const filled = (text: string) => text.replaceAll('{port}', String(port)).replaceAll('{dir}', dir);
    for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), filled(text));
    const start = () => startProcess(args.map(filled), dir);
    try {
      return new RunningRedis(port, dir, await start(), start);
    } catch (error) {
      // Somebody else may have taken the port meanwhile.
      if (attempt === ATTEMPTS || !String(error).includes('in use')) throw error;
    }
  }
}

class RunningRedis implements TestRedis {
  readonly port: number;
  readonly #dir: string;
  readonly #start: () => Promise<ChildProcess>;
  #child: ChildProcess;

  constructor(port: number, dir: string, child: ChildProcess, start: () => Promise<ChildProcess>) {
    this.port = port;
    this.#dir = dir;
    this.#child = child;
    this.#start = start;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGCONT');
    await this.#end('SIGTERM');
    await rm(this.#dir, { recursive: true, force: true });
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async restart(): Promise<void> {
    this.#child = await this.#start();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!running.has(this.#child)) return;
    const ended = once(this.#child, 'close');
    this.#child.kill(signal);
    await ended;
  }
}

/** @throws Error with what it printed, if it ends before it is ready */
async function startProcess(args: readonly string[], dir: string): Promise<ChildProcess> {
  const { file, environment } = await redisBinary();
  const fixed = ['--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no'];
  const all = args[0]?.endsWith('.conf') ? args : [...fixed, ...args];
  const env = { ...process.env, ...environment };
  const child = spawn(file, all, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('close', () => running.delete(child));
  let printed = '';
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => reject(new Error(`redis-server ended before it was ready:\n${printed}`)));
    const listen = (text: string) => {
      printed += text;
      if (READY.test(printed)) resolve();
    };
    child.stdout.setEncoding('utf8').on('data', listen);
    child.stderr.setEncoding('utf8').on('data', listen);
  });
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
