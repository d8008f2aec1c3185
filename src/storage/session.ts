import { MikroORM, type EntityManager } from '@mikro-orm/postgresql';
import { type ConnectionBounds, connectionOptions, databaseName } from './connection.ts';

/** One connection, kept until it is closed, so that what belongs to a session (an advisory lock) lasts as long. */
export interface Session {
  readonly em: EntityManager;
  close(): Promise<void>;
}

/** Opens a session as the login that the URL names; the connection is made by the first statement. */
export async function openSession(
  url: string,
  applicationName: string,
  bounds: ConnectionBounds = {},
): Promise<Session> {
  const orm = await MikroORM.init({
    entities: [],
    discovery: { warnWhenNoEntities: false },
    dbName: databaseName(url),
    ensureDatabase: false,
    allowGlobalContext: true,
    timezone: 'Z',
    pool: { min: 0, max: 1, idleTimeoutMillis: 0 },
    driverOptions: connectionOptions(url, applicationName, bounds),
  });
  return { em: orm.em, close: () => orm.close() };
}
