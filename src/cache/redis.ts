import { isIP } from 'node:net';
import DataLoader from 'dataloader';
import { Cluster, Redis, ReplyError } from 'ioredis';
import { Unavailable } from '../domain/errors.ts';
import { type GuardObserver, StoreGuard, type Verdict } from '../guard/store-guard.ts';
import { BATCH } from './batch.ts';
import type { RedisAddress } from './redis-address.ts';

export type RedisOperation = 'get' | 'set' | 'set_forward';

/** Learns what becomes of Redis; must not throw. What it is told holds no values and no passwords. */
export interface RedisObserver {
  /** An operation failed: Redis is away, is left alone, took too long, or answered with an error. */
  failed(operation: RedisOperation, reason: string): void;
  /** A connection was lost or cannot be made; it is tried again, and told each time. */
  disconnected(reason: string): void;
  connected(): void;
}

export interface RedisStoreOptions {
  readonly address: RedisAddress;
  /** Begins every key. */
  readonly prefix: string;
  readonly observer: RedisObserver;
  readonly guardObserver: GuardObserver;
  /** Longest time of one operation, in milliseconds; default 100. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 100;
/** Pointers are written many at a time, and nobody waits for them: they must not open the breaker of reads. */
const POINTER_TIMEOUT_MS = 2_000;
const RETRY_AFTER_MS = 500;
const RETRY_DELAY_MS = 1_000;
/** A connection on which nothing comes for so long after a command is given up: nobody may be at its other end. */
const SILENCE_MS = 2_000;
const SENTINEL_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** How long a connection that is closed may take to send what is under way. */
const DISCONNECT_TIMEOUT_MS = 100;
const RECONNECT_STEP_MS = 50;
const MAX_RECONNECT_MS = 1_000;
/** A server that became a replica is asked for its address anew, but one that stays a replica is not pestered. */
const READONLY_RECONNECT_MS = 30_000;
const MAX_REDIRECTIONS = 4;
const SLOTS_REFRESH_MS = 10_000;

/**
 * KEYS: the key. ARGV: its name without prefix, the sequence number, the value, the seconds that it lives, and '1' if
 * it must not be new. What is held stays only if it is whole (see sealed.ts) and its number is higher. The digest is
 * taken only then, so that writing is cheap.
 */
const SET_FORWARD = `
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' then
  local seq = tonumber(string.match(string.sub(held, 42), '^(%d+)\\n'))
  if seq and seq > tonumber(ARGV[2])
    and redis.sha1hex(ARGV[1] .. '\\n' .. string.sub(held, 42)) == string.sub(held, 1, 40) then
    return 0
  end
end
if held == false and ARGV[5] == '1' then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4])
return 1`;

/**
 * Redis behind the guard `redis`: one server, the master that Sentinels name, or a Cluster. Whatever becomes of it, an
 * operation ends within the time limit, and at once while the breaker is open: nothing is queued meanwhile.
 * Each operation throws Unavailable if it fails.
 */
export class RedisStore {
  readonly #client: Redis | Cluster;
  readonly #prefix: string;
  readonly #observer: RedisObserver;
  readonly #guard: StoreGuard;
  readonly #pointerGuard: StoreGuard;
  readonly #reads: DataLoader<string, Buffer | undefined>;

  /** Begins to connect, and goes on trying until it is closed. */
  constructor({ address, prefix, observer, guardObserver, timeoutMs = TIMEOUT_MS }: RedisStoreOptions) {
    this.#prefix = prefix;
    this.#observer = observer;
    const judge = (error: unknown): Verdict => (error instanceof ReplyError ? 'there' : 'away');
    const bounds = { retryAfterMs: RETRY_AFTER_MS, observer: guardObserver, judge };
    this.#guard = new StoreGuard({ store: 'redis', timeoutMs, ...bounds });
    this.#pointerGuard = new StoreGuard({ store: 'redis_pointers', timeoutMs: POINTER_TIMEOUT_MS, ...bounds });
    this.#client = connect(address);
    // Keys of a Cluster lie on several servers, and each server that is away fails its own: they are sent one by one.
    this.#reads = new DataLoader((keys) => this.#getAll(keys), { ...BATCH, batch: address.mode !== 'cluster' });
    const disconnected = (error: RedisError) => {
      observer.disconnected(reasonOf(error));
      // Refused its database, the client would go on with database 0, which may be another installation's.
      if (error.command?.name === 'select') this.#client.disconnect(true);
    };
    this.#client.on('error', disconnected);
    this.#client.on('node error', disconnected);
    this.#client.on('ready', () => observer.connected());
  }

  /**
   * What is held under the key; undefined: nothing, or no string. What is asked for in one turn of the event loop is
   * asked for together.
   */
  get(key: string): Promise<Buffer | undefined> {
    return this.#reads.load(key);
  }

  async set(key: string, value: Buffer, ttlSeconds: number): Promise<void> {
    await this.#run(this.#guard, 'set', () => this.#client.set(this.#prefix + key, value, 'EX', ttlSeconds));
  }

  /**
   * Writes a sealed value that begins with its sequence number and a line feed, unless one of a higher number is held.
   * @param onlyOver whether it is written only where something is held
   */
  async setForward(key: string, seq: number, value: Buffer, ttlSeconds: number, onlyOver = false): Promise<void> {
    const values = [key, seq, value, ttlSeconds, onlyOver ? '1' : '0'];
    const write = () => this.#client.eval(SET_FORWARD, 1, this.#prefix + key, ...values);
    await this.#run(this.#pointerGuard, 'set_forward', write);
  }

  /** Ends all connections; does not wait for them, which may take seconds where Sentinels do not answer. */
  close(): void {
    this.#client.disconnect();
  }

  async #getAll(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    const named = keys.map((key) => this.#prefix + key);
    const held = await this.#run(this.#guard, 'get', () => this.#client.mgetBuffer(...named));
    return held.map((each) => each ?? undefined);
  }

  async #run<T>(guard: StoreGuard, operation: RedisOperation, work: () => Promise<T>): Promise<T> {
    try {
      return await guard.run(work);
    } catch (error) {
      // The client's errors carry the command, values and all, and so they go no further.
      const message = reasonOf(error as Error);
      this.#observer.failed(operation, message);
      throw new Unavailable('DATABASE_UNAVAILABLE', `Redis: ${message}`, RETRY_DELAY_MS);
    }
  }
}

/** An error of the client's; of one that Redis answered a command with, the command. */
interface RedisError extends NodeJS.ErrnoException {
  readonly command?: { readonly name: string };
}

function connect(address: RedisAddress): Redis | Cluster {
  const [first] = address.hosts as [RedisAddress['hosts'][number]];
  const options = connectionOptions(address);
  if (address.mode === 'cluster') {
    return new Cluster([...address.hosts], {
      redisOptions: options,
      enableOfflineQueue: false,
      maxRedirections: MAX_REDIRECTIONS,
      slotsRefreshInterval: SLOTS_REFRESH_MS,
      clusterRetryStrategy: reconnectDelay,
      // Names stay names, so that certificates can be checked against them.
      dnsLookup: (host, found) => found(null, host),
    });
  }
  const singleOptions = { ...options, db: address.database, enableOfflineQueue: false, retryStrategy: reconnectDelay };
  if (address.mode === 'single') {
    const servername = address.tls && isIP(first.host) === 0 && { tls: { servername: first.host } };
    return new Redis({ ...singleOptions, ...first, ...servername });
  }
  const { sentinelCredentials, master, hosts } = address;
  return new Redis({
    ...singleOptions,
    sentinels: [...hosts],
    name: master,
    sentinelRetryStrategy: reconnectDelay,
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    ...(sentinelCredentials && {
      sentinelUsername: sentinelCredentials.username,
      sentinelPassword: sentinelCredentials.password,
    }),
    ...(address.tls && { sentinelTLS: {}, enableTLSForSentinelMode: true }),
  });
}

/** What every connection has in common. RESP 2 is what all servers speak, old and managed ones too. */
function connectionOptions({ credentials, tls }: RedisAddress) {
  return {
    protocol: 2 as const,
    connectionName: 'platen',
    disableClientInfo: true,
    username: credentials?.username,
    password: credentials?.password,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MS,
    reconnectOnError: reconnectOnReadonly(),
    ...(tls && { tls: {} }),
  };
}

/**
 * Where several addresses of a name were tried in vain, the error has only a code. Redis repeats the arguments of what
 * it refuses, passwords included.
 */
function reasonOf({ message, code }: NodeJS.ErrnoException): string {
  return message.split(', with args', 1)[0] || String(code);
}

function reconnectDelay(attempt: number): number {
  return Math.min(attempt * RECONNECT_STEP_MS, MAX_RECONNECT_MS);
}

function reconnectOnReadonly(): (error: Error) => boolean {
  let last = -Infinity;
  return (error) => {
    const now = performance.now();
    if (!error.message.startsWith('READONLY') || now - last < READONLY_RECONNECT_MS) return false;
    last = now;
    return true;
  };
}
