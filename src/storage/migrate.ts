import { setTimeout as sleep } from 'node:timers/promises';
import { Migrator } from '@mikro-orm/migrations';
import { MikroORM, type EntityManager } from '@mikro-orm/postgresql';
import { type ConnectionBounds, connectionOptions, databaseName, maintenanceUrl } from './connection.ts';
import type { Database } from './database.ts';
import { driverCode } from './errors.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { openSession } from './session.ts';

const MIGRATION_TABLE = 'platen_migration';
const APPLICATION = 'platen migrate';
const INVALID_CATALOG_NAME = '3D000';

/** Key of the advisory lock that serializes migrations: of a cluster until it has the database, then of that. */
const LOCK_KEY = 7_521_386;

/** While another process holds the lock, it is asked for again this often. */
const LOCK_RETRY_MS = 200;

/** Longest wait for the answer to whatever is not a migration, in milliseconds: nothing of it takes long. */
const QUERY_TIMEOUT_MS = 5_000;

export interface MigrateOptions {
  /** Gives up, and ends all connections at once. */
  readonly signal?: AbortSignal | undefined;
  /** Told, once for each lock, that another process migrates and is waited for. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Brings the database up to date: creates it if it is missing, runs the pending migrations, and lets the server's login
 * run as `platen_server`. Any number of processes may do so at once; each migration runs once. Migrations may take, and
 * wait for locked tables, as long as they need; everything else is answered in 5 s.
 *
 * @param ownerUrl of the login that owns the tables
 * @param serverUrl of the login that the server uses; may be the same
 * @throws Error if the owner lacks a privilege, saying which; the signal's reason once it aborts
 */
export async function migrate(ownerUrl: string, serverUrl: string, options: MigrateOptions = {}): Promise<void> {
  const { signal } = options;
  try {
    signal?.throwIfAborted();
    await ensureDatabase(ownerUrl, options);
    await locked(ownerUrl, options, async (em) => {
      if ((await pendingFor(em)).length > 0) await runMigrations(ownerUrl, { signal });
      await em.execute(`grant select on ${MIGRATION_TABLE} to platen_server`);
      await admit(em, await loginOf(serverUrl, options));
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** The names of the migrations that the database lacks, in order: all, as long as the server may not read them. */
export function pendingMigrations(database: Database): Promise<string[]> {
  return database.access(pendingFor);
}

/** As long as the session may not read them, all are pending. */
async function pendingFor(em: EntityManager): Promise<string[]> {
  // While others migrate, the table is there for a moment before the right to read it is.
  const readable = `coalesce(has_table_privilege(to_regclass(?), 'select'), false)`;
  const [found] = await em.execute<{ found: boolean }[]>(`select ${readable} as found`, [MIGRATION_TABLE]);
  const executed = found!.found ? await em.execute<{ name: string }[]>(`select name from ${MIGRATION_TABLE}`) : [];
  const names = new Set(executed.map(({ name }) => name));
  return MIGRATIONS.filter(({ name }) => !names.has(name)).map(({ name }) => name);
}

async function ensureDatabase(ownerUrl: string, options: MigrateOptions): Promise<void> {
  try {
    await inSession(ownerUrl, bounded(options), (em) => em.execute('select 1'));
  } catch (error) {
    if (driverCode(error) !== INVALID_CATALOG_NAME) throw error;
    const maintenance = maintenanceUrl(ownerUrl);
    await locked(maintenance, options, async (em) => {
      const name = databaseName(ownerUrl);
      const existing = await em.execute('select 1 from pg_database where datname = ?', [name]);
      // In a session of its own: it copies files, which takes as long as it takes.
      if (existing.length === 0) await inSession(maintenance, { signal: options.signal }, createDatabase(name));
    });
  }
}

function createDatabase(name: string): (em: EntityManager) => Promise<unknown> {
  return (em) =>
    em.execute(`create database ${em.getPlatform().quoteIdentifier(name)} encoding 'UTF8' template template0`);
}

/** The login that a URL ends up with; it may come from the environment. */
async function loginOf(url: string, options: MigrateOptions): Promise<string> {
  const sql = 'select session_user as login';
  const [row] = await inSession(url, bounded(options), (em) => em.execute<{ login: string }[]>(sql));
  return row!.login;
}

/** Lets a login run as `platen_server`. Roles belong to the cluster: whoever waits for another grant finds it done. */
async function admit(em: EntityManager, login: string): Promise<void> {
  const isMember = `select pg_has_role(?, 'platen_server', 'set') as admitted`;
  const [row] = await em.execute<{ admitted: boolean }[]>(isMember, [login]);
  if (row!.admitted) return;
  try {
    await em.execute(`grant platen_server to ${em.getPlatform().quoteIdentifier(login)}`);
  } catch (error) {
    const [now] = await em.execute<{ admitted: boolean }[]>(isMember, [login]);
    if (now!.admitted) return;
    throw new Error(`run as a role that may: GRANT platen_server TO ${login}, then migrate again`, { cause: error });
  }
}

async function runMigrations(ownerUrl: string, bounds: ConnectionBounds): Promise<void> {
  const orm = await MikroORM.init({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    dbName: databaseName(ownerUrl),
    ensureDatabase: false,
    driverOptions: connectionOptions(ownerUrl, APPLICATION, bounds),
    extensions: [Migrator],
    migrations: {
      tableName: MIGRATION_TABLE,
      migrationsList: MIGRATIONS,
      disableForeignKeys: false,
      snapshot: false,
      silent: true,
    },
  });
  try {
    await orm.migrator.up();
  } catch (error) {
    // Not waited for: a connection that was lost during a migration is never given back to its pool.
    orm.close().catch(() => undefined);
    throw error;
  }
  await orm.close();
}

/** Holds the advisory lock in a session of its own while the work runs. */
async function locked(url: string, options: MigrateOptions, work: (em: EntityManager) => Promise<void>): Promise<void> {
  await inSession(url, bounded(options), async (em) => {
    if (!(await tryLock(em))) {
      options.onWait?.();
      // Not by pg_advisory_lock: a wait in the database looks like a connection that nobody answers.
      do await sleep(LOCK_RETRY_MS, undefined, { signal: options.signal });
      while (!(await tryLock(em)));
    }
    await work(em);
  });
}

async function tryLock(em: EntityManager): Promise<boolean> {
  const [row] = await em.execute<{ locked: boolean }[]>('select pg_try_advisory_lock(?) as locked', [LOCK_KEY]);
  return row!.locked;
}

function bounded({ signal }: MigrateOptions): ConnectionBounds {
  return { signal, queryTimeoutMs: QUERY_TIMEOUT_MS };
}

async function inSession<T>(
  url: string,
  bounds: ConnectionBounds,
  work: (em: EntityManager) => Promise<T>,
): Promise<T> {
  const session = await openSession(url, APPLICATION, bounds);
  try {
    return await work(session.em);
  } finally {
    await session.close();
  }
}
