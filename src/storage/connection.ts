/** Connections of the driver, for sessions with MikroORM and without: whoever needs no more does not load it. */
import { Socket } from 'node:net';

/** The role of the server's sessions; it owns nothing. Migrations make it. */
export const SERVER_ROLE = 'platen_server';

/** A server that takes longer to let a session in does not answer. */
const CONNECT_TIMEOUT_MS = 5_000;

/** A peer that is silent for so long is asked whether it is still there. */
const KEEP_ALIVE_MS = 10_000;

/** When a connection is given up that does not end by itself. */
export interface ConnectionBounds {
  /** Longest wait for the answer to a statement, in milliseconds; default: no bound. */
  readonly queryTimeoutMs?: number | undefined;
  /** Ends the connection at once, whatever runs on it. */
  readonly signal?: AbortSignal | undefined;
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

/** The name of the database in a URL. */
export function databaseName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

/** The same server's maintenance database. */
export function maintenanceUrl(url: string): string {
  const result = new URL(url);
  result.pathname = '/postgres';
  return result.href;
}

/** A URL whose sessions start with these settings (`options=-c name=value`), after those that it sets itself. */
export function withSessionOptions(url: string, settings: Readonly<Record<string, string>>): string {
  const result = new URL(url);
  const own = result.searchParams.get('options') ?? '';
  const added = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  result.searchParams.set('options', [own, ...added].join(' ').trim());
  return result.href;
}
