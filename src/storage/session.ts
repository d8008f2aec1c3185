import { Socket } from 'node:net';
import { MikroORM, type EntityManager } from '@mikro-orm/postgresql';
import { databaseName } from './database.ts';

/** A server that takes longer to let a session in does not answer. */
const CONNECT_TIMEOUT_MS = 5_000;

/** A peer that is silent for so long is asked whether it is still there. */
const KEEP_ALIVE_MS = 10_000;

/** One connection, kept until it is closed, so that what belongs to a session (an advisory lock) lasts as long. */
export interface Session {
  readonly em: EntityManager;
  close(): Promise<void>;
}

/** When a connection is given up that does not end by itself. */
export interface ConnectionBounds {
  /** Longest wait for the answer to a statement, in milliseconds; default: no bound. */
  readonly queryTimeoutMs?: number | undefined;
  /** Ends the connection at once, whatever runs on it. */
  readonly signal?: AbortSignal | undefined;
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

/** The driver's options for connections that notice a network, or a server, that only looks alive. */
export function connectionOptions(url: string, applicationName: string, bounds: ConnectionBounds): object {
  const { queryTimeoutMs, signal } = bounds;
  return {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    ...(queryTimeoutMs !== undefined && { query_timeout: queryTimeoutMs }),
    ...(signal && { stream: () => socketUntil(signal) }),
  };
}

function socketUntil(signal: AbortSignal): Socket {
  signal.throwIfAborted();
  const socket = new Socket();
  const end = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', end);
  return socket.on('close', () => signal.removeEventListener('abort', end));
}

/** The same server's maintenance database. */
export function maintenanceUrl(url: string): string {
  const result = new URL(url);
  result.pathname = '/postgres';
  return result.href;
}
