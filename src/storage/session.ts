import { MikroORM, type EntityManager } from '@mikro-orm/postgresql';
import { databaseName } from './database.ts';

/** A server that takes longer to let a session in does not answer. */
const CONNECT_TIMEOUT_MS = 5_000;

/** One connection, kept until it is closed, so that what belongs to a session (an advisory lock) lasts as long. */
export interface Session {
  readonly em: EntityManager;
  close(): Promise<void>;
}

/** Opens a session as the login that the URL names; the connection is made by the first statement. */
export async function openSession(url: string, applicationName: string): Promise<Session> {
  const orm = await MikroORM.init({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    dbName: databaseName(url),
    ensureDatabase: false,
    allowGlobalContext: true,
    timezone: 'Z',
    pool: { min: 0, max: 1, idleTimeoutMillis: 0 },
    driverOptions: {
      connectionString: url,
      application_name: applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    },
  });
  return { em: orm.em, close: () => orm.close() };
}

/** The same server's maintenance database. */
export function maintenanceUrl(url: string): string {
  const result = new URL(url);
  result.pathname = '/postgres';
  return result.href;
}
