import { Migrator } from '@mikro-orm/migrations';
import { MikroORM, type EntityManager } from '@mikro-orm/postgresql';
import { databaseName, type Database } from './database.ts';
import { driverCode } from './errors.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { maintenanceUrl, openSession } from './session.ts';

const MIGRATION_TABLE = 'platen_migration';
const APPLICATION = 'platen migrate';
const INVALID_CATALOG_NAME = '3D000';

/** Key of the advisory lock that serializes migrations: of a cluster until it has the database, then of that. */
const LOCK_KEY = 7_521_386;

/**
 * Brings the database up to date: creates it if it is missing, runs the pending migrations, and lets the server's login
 * run as `platen_server`. Any number of processes may do so at once; each migration runs once.
 *
 * @param ownerUrl of the login that owns the tables
 * @param serverUrl of the login that the server uses; may be the same
 * @throws Error if the owner lacks a privilege, saying which
 */
export async function migrate(ownerUrl: string, serverUrl: string): Promise<void> {
  await ensureDatabase(ownerUrl);
  await locked(ownerUrl, async (em) => {
    await runMigrations(ownerUrl);
    await em.execute(`grant select on ${MIGRATION_TABLE} to platen_server`);
    await admit(em, await loginOf(serverUrl));
  });
}

/** The names of the migrations that the database lacks, in order: all, as long as the server may not read them. */
export async function pendingMigrations(database: Database): Promise<string[]> {
  const executed = await database.access(async (em) => {
    // While others migrate, the table is there for a moment before the right to read it is.
    const readable = `coalesce(has_table_privilege(to_regclass(?), 'select'), false)`;
    const [found] = await em.execute<{ found: boolean }[]>(`select ${readable} as found`, [MIGRATION_TABLE]);
    return found!.found ? em.execute<{ name: string }[]>(`select name from ${MIGRATION_TABLE}`) : [];
  });
  const names = new Set(executed.map(({ name }) => name));
  return MIGRATIONS.filter(({ name }) => !names.has(name)).map(({ name }) => name);
}

async function ensureDatabase(ownerUrl: string): Promise<void> {
  const session = await openSession(ownerUrl, APPLICATION);
  try {
    await session.em.execute('select 1');
  } catch (error) {
    if (driverCode(error) !== INVALID_CATALOG_NAME) throw error;
    await locked(maintenanceUrl(ownerUrl), (em) => createDatabase(em, databaseName(ownerUrl)));
  } finally {
    await session.close();
  }
}

async function createDatabase(em: EntityManager, name: string): Promise<void> {
  const existing = await em.execute('select 1 from pg_database where datname = ?', [name]);
  if (existing.length > 0) return;
  await em.execute(`create database ${em.getPlatform().quoteIdentifier(name)} encoding 'UTF8' template template0`);
}

/** The login that a URL ends up with; it may come from the environment. */
async function loginOf(url: string): Promise<string> {
  const session = await openSession(url, APPLICATION);
  try {
    const [row] = await session.em.execute<{ login: string }[]>('select session_user as login');
    return row!.login;
  } finally {
    await session.close();
  }
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

async function runMigrations(ownerUrl: string): Promise<void> {
  const orm = await MikroORM.init({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    dbName: databaseName(ownerUrl),
    ensureDatabase: false,
    driverOptions: { connectionString: ownerUrl, application_name: APPLICATION },
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
    void orm.close();
    throw error;
  }
  await orm.close();
}

/** Holds the advisory lock in a session of its own while the work runs. */
async function locked(url: string, work: (em: EntityManager) => Promise<void>): Promise<void> {
  const session = await openSession(url, APPLICATION);
  try {
    await session.em.execute('select pg_advisory_lock(?)', [LOCK_KEY]);
    await work(session.em);
  } finally {
    await session.close();
  }
}
