import { BatchedContent } from '../cache/batched-content.ts';
import { CompiledBundleCache } from '../cache/compiled-bundle-cache.ts';
import { CountedContent } from '../cache/counted-content.ts';
import { RedisLastPointers } from '../cache/last-pointers.ts';
import { PinnedVersionCache } from '../cache/pinned-version-cache.ts';
import { parseRedisUrl } from '../cache/redis-address.ts';
import { RedisContent } from '../cache/redis-content.ts';
import { RedisStore } from '../cache/redis.ts';
import { ReplicaContent } from '../cache/replica-content.ts';
import { ReleasedVersionWarmUp } from '../cache/warm-up.ts';
import type { Config } from '../config.ts';
import { StoreGuard, type GuardObserver } from '../guard/store-guard.ts';
import type { Opened } from './opened.ts';
import { PointerKeeper } from '../routing/pointer-keeper.ts';
import type { RouteFollower } from '../routing/route-feed.ts';
import type { PublishedContent } from '../services/render-ports.ts';
import { openDatabase } from '../storage/database.ts';
import { PostgresPublishedContent } from '../storage/published-content.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { contentObserver, guardObserver, redisObserver } from '../telemetry/observers.ts';

/** What renders find near: snapshots and exact versions by level, and the pointers that outlive PostgreSQL. */
export interface Content {
  readonly bundles: CompiledBundleCache;
  readonly versions: PinnedVersionCache;
  /** Undefined without Redis. */
  readonly lastPointers: RedisLastPointers | undefined;
  /** Told of every move of the pointers. */
  readonly followers: readonly RouteFollower[];
}

const PINNED_VERSIONS_MAX = 100_000;

/** A render waits for a second at most; less of it goes to a read replica, so that the primary can still answer. */
const PRIMARY_TIMEOUT_MS = 1_000;
const READ_REPLICA_TIMEOUT_MS = 300;
const READ_QUEUE_MAX = 10_000;
const RETRY_AFTER_MS = 500;

/** Most connections to each, and most reads at a time. */
const READ_CONNECTIONS_MAX = 4;

/** A database that published content is read from. */
interface ReadOptions {
  /** The name of its guard. */
  readonly store: string;
  readonly level: 'read_replica' | 'database';
  readonly url: string;
  readonly timeoutMs: number;
  readonly readOnly: boolean;
}

/**
 * Builds the levels, nearest first: memory, Redis, the read replica, the primary. Redis and the read replica are left
 * out where none is configured.
 *
 * @param isVerified whether the route map was found to be the primary's a moment ago; not asked before it is loaded
 */
export async function openContent(
  config: Config,
  primaryUrl: string,
  metrics: Metrics,
  logger: Logger,
  opened: Opened,
  isVerified: () => boolean,
): Promise<Content> {
  const observer = contentObserver(metrics, logger);
  const guards = guardObserver(metrics, logger);
  // Not the pool of everything else: reads that hang would take all of it, and receipts and writes with them.
  const store = async (options: ReadOptions) => {
    const database = await openDatabase({
      ...options,
      poolMax: READ_CONNECTIONS_MAX,
      poolWaitMs: options.timeoutMs,
      statementTimeoutMs: options.timeoutMs,
      onQuery: (seconds) => metrics.databaseQuery.observe(seconds),
    });
    opened.add(() => database.close());
    const content = new PostgresPublishedContent(database.access);
    const guard = readGuard(options.store, options.timeoutMs, guards);
    return new CountedContent(new BatchedContent(content, guard), options.level, observer);
  };

  let content: PublishedContent = await store({
    store: 'postgres_reads',
    level: 'database',
    url: primaryUrl,
    timeoutMs: PRIMARY_TIMEOUT_MS,
    readOnly: false,
  });
  if (config.databaseReadUrl !== undefined) {
    const replica = await store({
      store: 'postgres_read_replica',
      level: 'read_replica',
      url: config.databaseReadUrl,
      timeoutMs: READ_REPLICA_TIMEOUT_MS,
      readOnly: true,
    });
    content = new ReplicaContent(replica, content, observer);
  }
  let lastPointers: RedisLastPointers | undefined;
  if (config.redisUrl !== undefined) {
    const redis = openRedis(config, config.redisUrl, metrics, logger, guards);
    opened.add(() => Promise.resolve(redis.close()));
    const shared = new RedisContent(redis, content, observer);
    lastPointers = new RedisLastPointers(redis, shared, observer);
    content = shared;
  }
  const bundles = new CompiledBundleCache(content, observer, config.bundleCacheBytes);
  metrics.watchFirstLevel(bundles);
  const versions = new PinnedVersionCache(content, observer, PINNED_VERSIONS_MAX);
  const followers: RouteFollower[] = [versions, new ReleasedVersionWarmUp(bundles)];
  if (lastPointers) {
    const keeper = new PointerKeeper(lastPointers, isVerified);
    opened.add(() => keeper.stop());
    followers.push(keeper);
  }
  return { bundles, versions, lastPointers, followers };
}

function readGuard(store: string, timeoutMs: number, observer: GuardObserver): StoreGuard {
  const bounds = { concurrency: READ_CONNECTIONS_MAX, queueMax: READ_QUEUE_MAX };
  return new StoreGuard({ store, timeoutMs, retryAfterMs: RETRY_AFTER_MS, observer, ...bounds });
}

function openRedis(
  { redisPrefix }: Config,
  url: string,
  metrics: Metrics,
  logger: Logger,
  guardObserver: GuardObserver,
): RedisStore {
  const observer = redisObserver(metrics, logger);
  return new RedisStore({ address: parseRedisUrl(url), prefix: redisPrefix, observer, guardObserver });
}
