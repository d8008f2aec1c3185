import { Redis } from 'ioredis';
import { parseRedisUrl } from '../../src/cache/redis-address.ts';
import { RedisStore, type RedisStoreOptions } from '../../src/cache/redis.ts';
import { until } from './until.ts';

/** A store, with what it told of itself. */
export interface OpenedRedis {
  readonly store: RedisStore;
  /** As `open`, `failed get: …`, `disconnected: …`, `connected`. */
  readonly told: string[];
}

/** Long enough for whatever else the machine does meanwhile. */
export const PATIENT_MS = 10_000;

/** A store that may not be connected yet. */
export function openRedis(url: string, options: Partial<RedisStoreOptions> = {}): OpenedRedis {
  const told: string[] = [];
  const store = new RedisStore({
    address: parseRedisUrl(url),
    prefix: '',
    observer: {
      failed: (operation, reason) => told.push(`failed ${operation}: ${reason}`),
      disconnected: (reason) => told.push(`disconnected: ${reason}`),
      connected: () => told.push('connected'),
    },
    guardObserver: { state: (_, state) => told.push(state), rejected: () => {} },
    timeoutMs: PATIENT_MS,
    ...options,
  });
  return { store, told };
}

/** A store that is connected. */
export async function connectRedis(url: string, options: Partial<RedisStoreOptions> = {}): Promise<OpenedRedis> {
  const opened = openRedis(url, options);
  await until('Redis is connected', () => opened.told.includes('connected'));
  return opened;
}

/** A client that sees Redis as it is. */
export function bareRedis(url: string): Redis {
  return new Redis(url, { protocol: 2 });
}
