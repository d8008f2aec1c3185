import { parseRedisUrl } from '../../../src/cache/redis-address.ts';
import { RedisStore } from '../../../src/cache/redis.ts';
import { keyPrefix } from '../redis.ts';

/** A store with keys of its own on a server. */
export function openRedisStore(url: string, prefix = keyPrefix()): RedisStore {
  return new RedisStore({
    address: parseRedisUrl(url),
    prefix,
    observer: { failed: () => {}, disconnected: () => {}, connected: () => {} },
    guardObserver: { state: () => {}, rejected: () => {} },
    // Tests wait for what they are about, however busy the machine is.
    timeoutMs: 5_000,
  });
}
