import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { PlatenServer } from './platen-server.ts';

/** Something that runs until it is stopped. */
interface Stoppable {
  stop(): Promise<void>;
}

type Settings = Readonly<Record<string, string>>;

/**
 * What scenarios share: one PostgreSQL with fsync on, in a temporary directory, and one `platen serve` on it at a time.
 * Whatever is started through it ends with it.
 */
export class Stage {
  /** In the order in which they were started; some may just be starting. */
  readonly #running: Promise<Stoppable>[] = [];
  readonly #made = new Map<string, Promise<unknown>>();
  #server: { readonly name: string; readonly started: Promise<PlatenServer> } | undefined;
  #closed = false;

  /** Keeps what is being started, so that it ends with the stage at the latest. */
  keep<T extends Stoppable>(start: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the bench is ending'));
    const started = start();
    this.#running.push(started);
    return started;
  }

  /** What is made once, the first time that somebody asks: in the database, or a server beside it. */
  once<T>(name: string, make: () => Promise<T>): Promise<T> {
    const made = (this.#made.get(name) as Promise<T> | undefined) ?? make();
    this.#made.set(name, made);
    return made;
  }

  /** Settings of a server that name the database. */
  database(): Promise<Settings> {
    return this.once('database', async () => {
      const { ownerUrl, serverUrl } = await this.keep(startDatabase);
      return { PLATEN_DATABASE_URL: serverUrl, PLATEN_DATABASE_OWNER_URL: ownerUrl };
    });
  }

  /**
   * A server on the database. One runs at a time: the one before stops, unless it goes by the same name.
   * @param settings beside those of the database
   */
  async server(name: string, settings: Settings = {}): Promise<PlatenServer> {
    if (this.#server?.name === name) return this.#server.started;
    await this.stopServer();
    const database = await this.database();
    const started = this.keep(() => PlatenServer.start({ ...database, ...settings }));
    this.#server = { name, started };
    return started;
  }

  /** Stops the server that runs, if one does. */
  async stopServer(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) await this.#stop(server.started);
  }

  /** Stops everything, the last that was started first; what is just starting as soon as it has. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const started of this.#running.toReversed()) await this.#stop(started);
  }

  async #stop(started: Promise<Stoppable>): Promise<void> {
    this.#running.splice(this.#running.indexOf(started), 1);
    // What failed to start has told why to whoever wanted it.
    const running = await started.catch(() => undefined);
    await running?.stop();
  }
}

async function startDatabase() {
  const dataDir = await mkdtemp(join(tmpdir(), 'platen-bench-'));
  const remove = (): Promise<void> => rm(dataDir, { recursive: true, force: true });
  try {
    const postgres = await startEmbeddedPostgres({ dataDir, log: () => {} });
    const { ownerUrl, serverUrl } = postgres;
    const stop = async (): Promise<void> => {
      await postgres.stop();
      await remove();
    };
    await migrate(ownerUrl, serverUrl).catch(async (error: unknown) => {
      await postgres.stop();
      throw error;
    });
    return { ownerUrl, serverUrl, stop };
  } catch (error) {
    await remove();
    throw error;
  }
}
