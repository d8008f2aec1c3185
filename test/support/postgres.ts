import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'mocha';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { maintenanceUrl } from '../../src/storage/connection.ts';
import { openSession, type Session } from '../../src/storage/session.ts';

/** A database of its own for a suite. */
export interface TestDatabase {
  readonly ownerUrl: string;
  readonly serverUrl: string;
  /** Ends its sessions and drops it. */
  drop(): Promise<void>;
}

const ENOUGH_BYTES = 2 ** 30;

interface TestServer {
  readonly ownerUrl: string;
  readonly serverUrl: string;
  stop(): Promise<void>;
}

let server: Promise<TestServer> | undefined;
/** In the maintenance database, to make and drop the others. */
let maintenance: Promise<Session> | undefined;
let template: Promise<TestDatabase> | undefined;

/** A migrated database: a copy of one that was migrated once. */
export async function createDatabase(): Promise<TestDatabase> {
  template ??= migratedDatabase();
  return createFrom(databaseOf((await template).ownerUrl));
}

/** A database without tables. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return createFrom('template0');
}

/** Runs SQL as the owner, in a session of its own. */
export async function asOwner<Row extends object>(
  { ownerUrl }: Pick<TestDatabase, 'ownerUrl'>,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  const session = await openSession(ownerUrl, 'platen test');
  try {
    return await session.em.execute<Row[]>(sql, [...parameters]);
  } finally {
    await session.close();
  }
}

async function migratedDatabase(): Promise<TestDatabase> {
  const database = await createEmptyDatabase();
  await migrate(database.ownerUrl, database.serverUrl);
  return database;
}

async function createFrom(source: string): Promise<TestDatabase> {
  server ??= startServer();
  const { ownerUrl, serverUrl } = await server;
  maintenance ??= openSession(maintenanceUrl(ownerUrl), 'platen test maintenance');
  const { em } = await maintenance;
  const name = `platen_test_${randomBytes(6).toString('hex')}`;
  await em.execute(`create database ${name} template ${source} encoding 'UTF8' strategy file_copy`);
  return {
    ownerUrl: withDatabase(ownerUrl, name),
    serverUrl: withDatabase(serverUrl, name),
    drop: async () => {
      await em.execute(`drop database ${name} with (force)`);
    },
  };
}

/** The server that PLATEN_TEST_DATABASE_URL names, else an embedded one for this process. */
async function startServer(): Promise<TestServer> {
  const url = process.env['PLATEN_TEST_DATABASE_URL'];
  if (url) return { ownerUrl: url, serverUrl: url, stop: async () => {} };
  const dataDir = await mkdtemp(join(await folderInMemory(), 'platen-test-'));
  const postgres = await startEmbeddedPostgres({ dataDir, log: () => {}, fsync: false });
  await easePasswords(postgres);
  return {
    ...postgres,
    stop: async () => {
      await postgres.stop();
      await rm(dataDir, { recursive: true });
    },
  };
}

/** Tests make thousands of connections, each of which proves that it knows the password as often as this says. */
async function easePasswords({ ownerUrl, serverUrl }: TestServer): Promise<void> {
  const [owner, login] = [ownerUrl, serverUrl].map((url) => {
    const { username, password } = new URL(url);
    return `alter role ${username} password '${password}'`;
  });
  await asOwner({ ownerUrl: maintenanceUrl(ownerUrl) }, `set scram_iterations = 1; ${owner}; ${login}`);
}

/**
 * Every suite has a database of its own, so that some 100,000 files come and go; ext4 is slow to create files where
 * others were deleted just before.
 */
export async function folderInMemory(): Promise<string> {
  const free = await statfs('/dev/shm').then(({ bavail, bsize }) => bavail * bsize, () => 0);
  return free > ENOUGH_BYTES ? '/dev/shm' : tmpdir();
}

function withDatabase(url: string, name: string): string {
  const result = new URL(url);
  result.pathname = `/${name}`;
  return result.href;
}

function databaseOf(url: string): string {
  return new URL(url).pathname.slice(1);
}

// A hook of the root suite: it runs once, after the suites of all files.
after(async () => {
  await (await template)?.drop();
  await (await maintenance)?.close();
  await (await server)?.stop();
});
