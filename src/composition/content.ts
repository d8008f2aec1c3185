import { CompiledBundleCache } from '../cache/compiled-bundle-cache.ts';
import { CountedContent } from '../cache/counted-content.ts';
import { GuardedContent } from '../cache/guarded-content.ts';
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
import { openDatabase, type Database } from '../storage/database.ts';
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

/**
 * Builds the levels, nearest first: memory, Redis, the read replica, the primary. Redis and the read replica are left
 * out where none is configured.
 */
export async function openContent(
  config: Config,
  primary: Database,
  metrics: Metrics,
  logger: Logger,
  opened: Opened,
): Promise<Content> {
  const observer = contentObserver(metrics, logger);
  const guards = guardObserver(metrics, logger);
  // Half of the pool, so that a cold start leaves connections to writes and receipts.
  const reads = Math.ceil(config.databasePoolMax / 2);
  const guarded = (database: Database, store: string, timeoutMs: number, level: 'read_replica' | 'database') => {
    const content = new PostgresPublishedContent(database.access);
    const guard = readGuard(store, timeoutMs, reads, guards);
    return new CountedContent(new GuardedContent(content, guard), level, observer);
  };

  let content: PublishedContent = guarded(primary, 'postgres_reads', PRIMARY_TIMEOUT_MS, 'database');
  if (config.databaseReadUrl !== undefined) {
    const database = await openDatabase({
      url: config.databaseReadUrl,
      poolMax: reads,
      poolWaitMs: READ_REPLICA_TIMEOUT_MS,
      statementTimeoutMs: READ_REPLICA_TIMEOUT_MS,
      readOnly: true,
      onQuery: (seconds) => metrics.databaseQuery.observe(seconds),
    });
    opened.add(() => database.close());
    const replica = guarded(database, 'postgres_read_replica', READ_REPLICA_TIMEOUT_MS, 'read_replica');
    content = new ReplicaContent(replica, content, observer);
  }
  const redis = config.redisUrl === undefined ? undefined : openRedis(config, config.redisUrl, metrics, logger, guards);
  if (redis) {
    opened.add(() => Promise.resolve(redis.close()));
    content = new RedisContent(redis, content, observer);
  }
  const bundles = new CompiledBundleCache(content, observer, config.bundleCacheBytes);
  metrics.watchFirstLevel(bundles);
  const versions = new PinnedVersionCache(content, observer, PINNED_VERSIONS_MAX);
  const followers: RouteFollower[] = [versions, new ReleasedVersionWarmUp(bundles)];
  const lastPointers = redis && new RedisLastPointers(redis, observer);
  if (lastPointers) {
    const keeper = new PointerKeeper(lastPointers);
    opened.add(() => keeper.stop());
    followers.push(keeper);
  }
  return { bundles, versions, lastPointers, followers };
}

function readGuard(store: string, timeoutMs: number, concurrency: number, observer: GuardObserver): StoreGuard {
  const bounds = { concurrency, queueMax: READ_QUEUE_MAX };
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
