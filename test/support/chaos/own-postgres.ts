import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildProcess } from 'node:child_process';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../../src/storage/embedded-postgres.ts';
import { migrate } from '../../../src/storage/migrate.ts';
import { currentAccount, spawnAs } from '../../../src/storage/postgres-account.ts';
import { postgresBinaries } from '../../../src/storage/postgres-binaries.ts';
import { freezeTree, killTree, thawTree } from './process-tree.ts';

const ENOUGH_BYTES = 2 ** 30;
const POLL_MS = 10;
const PATIENCE_MS = 60_000;

/**
 * Not for a machine that crashes, but for a process that is killed: what is committed has left the process, so that
 * nothing that was answered may be lost.
 */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'on',
  // Else a killed one leaves segments in /dev/shm that nobody removes.
  dynamic_shared_memory_type: 'mmap',
};

/** A migrated PostgreSQL of its own, on one port for good, that may be stopped, killed and started again. */
export class OwnPostgres {
  readonly ownerUrl: string;
  readonly serverUrl: string;
  readonly #dataDir: string;
  readonly #port: string;
  #postmaster: ChildProcess | undefined;

  private constructor(dataDir: string, ownerUrl: string, serverUrl: string) {
    this.#dataDir = dataDir;
    this.ownerUrl = ownerUrl;
    this.serverUrl = serverUrl;
    this.#port = new URL(ownerUrl).port;
  }

  static async start(): Promise<OwnPostgres> {
    const free = await statfs('/dev/shm').then(({ bavail, bsize }) => bavail * bsize, () => 0);
    const dataDir = await mkdtemp(join(free > ENOUGH_BYTES ? '/dev/shm' : tmpdir(), 'platen-chaos-'));
    const made = await startEmbeddedPostgres({ dataDir, log: () => {}, fsync: false });
    await made.stop();
    const postgres = new OwnPostgres(dataDir, made.ownerUrl, made.serverUrl);
    try {
      await postgres.restart();
      await postgres.accepting('postgres');
      await migrate(postgres.ownerUrl, postgres.serverUrl);
      return postgres;
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  }

  /** SIGSTOP to all its processes; resolves once they stand. */
  async pause(): Promise<void> {
    await freezeTree(this.#pid);
  }

  async resume(): Promise<void> {
    await thawTree(this.#pid);
  }

  /** SIGKILL to all its processes; resolves once they have ended. */
  async kill(): Promise<void> {
    const ended = this.#ended();
    await killTree(this.#pid);
    await ended;
  }

  /** Starts it on what a killed one left behind. It accepts connections somewhat later. */
  async restart(): Promise<void> {
    const { postgres } = await postgresBinaries(process.platform, process.arch);
    const data = join(this.#dataDir, 'postgres', 'data');
    const settings = Object.entries({ ...SETTINGS, port: this.#port }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]);
    const output = await open(this.#logFile, 'a', 0o600);
    try {
      const stdio = ['ignore', output.fd, output.fd] as ['ignore', number, number];
      const options = { stdio, detached: true };
      this.#postmaster = await spawnAs(currentAccount(), postgres, ['-D', data, ...settings], [data], options);
    } finally {
      await output.close();
    }
  }

  /** Ends the connections on which replicas listen. */
  async cutListeners(): Promise<void> {
    await this.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'platen-routes' and datname = current_database()`,
    );
  }

  /** The head of the change log. */
  async head(): Promise<bigint> {
    const [row] = await this.query<{ seq: string }>('select seq from change_head');
    return BigInt(row!.seq);
  }

  /** Resolves as soon as a connection to the database is accepted. @throws Error if that takes a minute, or it ends */
  async accepting(database = 'platen'): Promise<void> {
    const url = new URL(this.ownerUrl);
    url.pathname = `/${database}`;
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const failed = await connected(url.href, async () => undefined).catch((error: unknown) => error as Error);
      if (failed === undefined) return;
      if (this.#postmaster!.exitCode !== null || Date.now() > end) {
        throw new Error(`PostgreSQL does not accept connections: ${await this.#log()}`, { cause: failed });
      }
      await sleep(POLL_MS);
    }
  }

  /** Runs SQL as the owner, on a connection of its own. */
  query<Row extends object>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return connected(this.ownerUrl, async (client) => (await client.query<Row>(sql, [...parameters])).rows);
  }

  /** Ends it whatever its state, and removes all that it kept. */
  async stop(): Promise<void> {
    if (this.#running) {
      const ended = this.#ended();
      await thawTree(this.#pid);
      // An immediate shutdown, which removes its shared memory as a killed one cannot.
      this.#postmaster!.kill('SIGQUIT');
      await ended;
    }
    await rm(this.#dataDir, { recursive: true, force: true, maxRetries: 5 });
  }

  get #pid(): number {
    return this.#postmaster!.pid!;
  }

  get #running(): boolean {
    return this.#postmaster !== undefined && this.#postmaster.exitCode === null && this.#postmaster.signalCode === null;
  }

  async #ended(): Promise<void> {
    if (this.#running) await once(this.#postmaster!, 'exit');
  }

  get #logFile(): string {
    return join(this.#dataDir, 'postgres', 'postgres.log');
  }

  async #log(): Promise<string> {
    return (await readFile(this.#logFile, 'utf8')).trim().split('\n').slice(-5).join(' | ');
  }
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: PATIENCE_MS });
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}
