import { randomUUIDv7 } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { CompiledBundleCache } from './cache/compiled-bundle-cache.ts';
import { PinnedVersionCache } from './cache/pinned-version-cache.ts';
import type { Config } from './config.ts';
import { defaultPrompt } from './domain/default-prompts.ts';
import { Unavailable } from './domain/errors.ts';
import { PROMPT_TYPES } from './domain/prompt-type.ts';
import { postgresChangeLog } from './routing/postgres-change-log.ts';
import { RouteFeed } from './routing/route-feed.ts';
import { auditHandlers } from './rpc/handlers/audit-handlers.ts';
import { bundleHandlers } from './rpc/handlers/bundle-handlers.ts';
import { renderHandlers } from './rpc/handlers/render-handlers.ts';
import { templateHandlers } from './rpc/handlers/template-handlers.ts';
import { tenantHandlers } from './rpc/handlers/tenant-handlers.ts';
import type { ServedService } from './rpc/method.ts';
import { RpcServer } from './rpc/server.ts';
import { ActivationService } from './services/activation-service.ts';
import { AuditService } from './services/audit-service.ts';
import type { DraftChecks, OutputChecks, PreviewWork } from './services/bounded-work.ts';
import { BundleService } from './services/bundle-service.ts';
import { OutputCheckService } from './services/output-check-service.ts';
import { PreviewService } from './services/preview-service.ts';
import { ReleaseService } from './services/release-service.ts';
import { RendererService } from './services/renderer-service.ts';
import { TemplateService } from './services/template-service.ts';
import { TenantService } from './services/tenant-service.ts';
import { openDatabase, SERVER_ROLE, type Database } from './storage/database.ts';
import { startEmbeddedPostgres } from './storage/embedded-postgres.ts';
import { domainError } from './storage/errors.ts';
import { migrate, pendingMigrations } from './storage/migrate.ts';
import { PostgresStores } from './storage/postgres-stores.ts';
import { PostgresReceipts } from './storage/receipts.ts';
import { PostgresWrites } from './storage/writes.ts';
import type { Logger } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';
import { cacheObserver, feedObserver, renderObserver, workObserver } from './telemetry/observers.ts';
import type { Tasks } from './workers/tasks.ts';
import { WorkerDraftChecks } from './workers/worker-draft-checks.ts';
import { WORKER_FILE } from './workers/worker-file.ts';
import { WorkerOutputChecks } from './workers/worker-output-checks.ts';
import { WorkerPool } from './workers/worker-pool.ts';
import { WorkerPreviewWork } from './workers/worker-preview-work.ts';

/** A server that answers. */
export interface RunningServer {
  /** As bound. */
  readonly grpcAddress: string;
  readonly httpAddress: string;
  /** Finishes what is in flight, then stops everything, the embedded database last. */
  stop(): Promise<void>;
}

const STATEMENT_TIMEOUT_MS = 10_000;
const RECEIPT_TIMEOUT_MS = 2_000;
const RECEIPT_QUEUE_MAX = 10_000;
const PINNED_VERSIONS_MAX = 100_000;
const DATABASE_RETRY_MS = 1_000;
const PURGE_INTERVAL_MS = 3_600_000;
/** With one thread, whoever sends what takes long would hold up all others for as long as it may take. */
const THREADS_MIN = 2;
const CALLER_THREADS_MAX = 4;
const WORK_QUEUE_MAX = 100;
const WORK_MEMORY_MB = 256;

/** After a commit, the answer waits this long at most for the replica's own route map. */
const OWN_WRITE_WAIT_MS = 10_000;

/** What a server that stops in the middle of its start has opened so far, closed in the opposite order. */
class Opened {
  readonly #closers: (() => Promise<void>)[] = [];

  add(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).toReversed()) await close();
  }
}

/**
 * The composition root: builds everything from the configuration, and serves. The ports are open, for probes, as soon
 * as possible; SERVING and ready follow once the migrations are in and the route map is loaded, however long the
 * database is away before.
 *
 * @param signal gives up a start that is still waiting for the database
 * @throws Error if a port is taken, or the database refuses for a reason that waiting does not mend
 */
export async function startServer(config: Config, logger: Logger, signal: AbortSignal): Promise<RunningServer> {
  const opened = new Opened();
  try {
    return await open(config, logger, signal, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Brings the configured database up to date. An embedded one is started for it, and stopped. */
export async function migrateDatabase(config: Config, logger: Logger): Promise<void> {
  const { ownerUrl, serverUrl, stop } = await databaseOf(config, logger);
  try {
    await migrate(ownerUrl, serverUrl);
  } finally {
    await stop();
  }
}

async function open(config: Config, logger: Logger, signal: AbortSignal, opened: Opened): Promise<RunningServer> {
  const metrics = new Metrics();
  const place = await databaseOf(config, logger);
  opened.add(place.stop);
  const database = await openDatabase({
    url: place.serverUrl,
    poolMax: config.databasePoolMax,
    poolWaitMs: config.databasePoolWaitMs,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    onQuery: (seconds) => metrics.databaseQuery.observe(seconds),
  });
  opened.add(() => database.close());

  const changeLog = postgresChangeLog(config.databaseDirectUrl ?? place.serverUrl, SERVER_ROLE);
  const feed = new RouteFeed(changeLog, feedObserver(metrics, logger), Date.now);
  opened.add(() => feed.stop());
  const writes = new PostgresWrites(database, (seq) => awaitOwnWrite(feed, seq, logger), () => new Date());
  const receipts = new PostgresReceipts(
    database,
    { timeoutMs: RECEIPT_TIMEOUT_MS, queueMax: RECEIPT_QUEUE_MAX },
    () => new Date(),
  );
  opened.add(() => receipts.close());
  const work = openWork(metrics, logger, opened);

  const services = serve(config, { database, feed, writes, receipts, work, metrics, logger });
  const rpc = new RpcServer({ services, logger, metrics });
  const { grpcAddress, httpAddress } = await rpc.start(config);
  opened.add(() => rpc.drain(config.drainTimeoutMs));
  logger.info({ grpc: grpcAddress, http: httpAddress }, 'listening');
  warnAboutOpenDoors(logger, [grpcAddress, httpAddress]);

  await whileAway(logger, signal, async () => {
    if (config.migrateOnStart) await migrate(place.ownerUrl, place.serverUrl);
    const pending = await pendingMigrations(database);
    if (pending.length > 0) throw new Unavailable('DATABASE_UNAVAILABLE', `not migrated: ${pending.join(', ')}`, 0);
    await database.requireServerRole();
    await storeDefaultPrompts(writes);
  });
  const stopFeed = (): void => void feed.stop();
  signal.addEventListener('abort', stopFeed, { once: true });
  await feed.start();
  signal.removeEventListener('abort', stopFeed);
  opened.add(repeat(PURGE_INTERVAL_MS, logger, () => writes.purgeRequests()));

  rpc.setServing();
  logger.info({ seq: feed.map.seq }, 'serving');
  return { grpcAddress, httpAddress, stop: () => opened.close() };
}

/** What may run long, done in threads. */
interface BoundedWork {
  readonly drafts: DraftChecks;
  readonly previews: PreviewWork;
  readonly outputs: OutputChecks;
}

/** Authors have threads of their own, so that no draft holds up the callers of rendered prompts. */
function openWork(metrics: Metrics, logger: Logger, opened: Opened): BoundedWork {
  const openPool = (threads: number) => {
    const pool = new WorkerPool<Tasks>({
      filename: WORKER_FILE,
      threads,
      queueMax: WORK_QUEUE_MAX,
      memoryMb: WORK_MEMORY_MB,
      observer: workObserver(metrics, logger),
    });
    opened.add(() => pool.close());
    return pool;
  };
  const authors = openPool(THREADS_MIN);
  const callers = openPool(Math.min(CALLER_THREADS_MAX, Math.max(THREADS_MIN, availableParallelism() - 1)));
  return {
    drafts: new WorkerDraftChecks(authors),
    previews: new WorkerPreviewWork(authors),
    outputs: new WorkerOutputChecks(callers),
  };
}

/** The services with their handlers: from request to answer, without a transport. */
function serve(
  config: Config,
  parts: {
    database: Database;
    feed: RouteFeed;
    writes: PostgresWrites;
    receipts: PostgresReceipts;
    work: BoundedWork;
    metrics: Metrics;
    logger: Logger;
  },
): ServedService[] {
  const { database, feed, writes, receipts, work, metrics, logger } = parts;
  const stores = new PostgresStores(database.access);
  const lookups = {
    routes: feed,
    bundles: new CompiledBundleCache(stores.documents, cacheObserver(metrics), config.bundleCacheBytes),
    versions: new PinnedVersionCache(stores.bundles, PINNED_VERSIONS_MAX),
  };
  const renderer = new RendererService({
    ...lookups,
    receipts,
    observer: renderObserver(metrics, logger),
    clock: { now: Date.now, monotonic: () => performance.now(), id: randomUUIDv7 },
  });
  const releases = new ReleaseService(stores);
  const activations = new ActivationService(stores);
  const bundles = new BundleService(stores, releases, activations);
  return [
    tenantHandlers(writes, new TenantService(stores)),
    templateHandlers(writes, new TemplateService(stores), work.drafts),
    bundleHandlers(writes, { bundles, releases, activations, drafts: work.drafts }),
    renderHandlers(
      renderer,
      new PreviewService(stores, feed, work.drafts, work.previews),
      new OutputCheckService({ ...lookups, checks: work.outputs }),
    ),
    auditHandlers(new AuditService(stores)),
  ];
}

interface DatabasePlace {
  readonly ownerUrl: string;
  readonly serverUrl: string;
  readonly stop: () => Promise<void>;
}

async function databaseOf(config: Config, logger: Logger): Promise<DatabasePlace> {
  if (config.databaseUrl !== undefined) {
    const ownerUrl = config.databaseOwnerUrl ?? config.databaseUrl;
    return { ownerUrl, serverUrl: config.databaseUrl, stop: () => Promise.resolve() };
  }
  return startEmbeddedPostgres({ dataDir: config.dataDir, log: (message) => logger.info(message) });
}

/** Tries until the database can serve; every other failure is thrown. */
async function whileAway(logger: Logger, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const away = domainError(error);
      if (!(away instanceof Unavailable)) throw error;
      logger.warn({ err: away.cause ?? away }, `waiting for the database: ${away.message}`);
      await sleep(DATABASE_RETRY_MS, undefined, { signal });
    }
  }
}

/** Built-in defaults are documents like any other, so that their renders can be replayed (spec section 3). */
async function storeDefaultPrompts(writes: PostgresWrites): Promise<void> {
  const { signal } = new AbortController();
  const call = { actor: 'platen', traceId: '', requestId: '', deadline: undefined, signal };
  const unrepeated = { rpc: '', fingerprint: '', encode: () => new Uint8Array(), decode: () => undefined };
  await writes.run(call, unrepeated, async (tx) => {
    for (const type of PROMPT_TYPES) await tx.putDocument(defaultPrompt(type));
  });
}

async function awaitOwnWrite(feed: RouteFeed, seq: number, logger: Logger): Promise<void> {
  if (await feed.applied(seq, Date.now() + OWN_WRITE_WAIT_MS)) return;
  logger.error({ seq, applied: feed.map.seq }, 'a write is committed, but this replica has not applied it yet');
}

function warnAboutOpenDoors(logger: Logger, addresses: readonly string[]): void {
  for (const address of addresses) {
    if (/^(127\.0\.0\.1|\[::1\]):/.test(address)) continue;
    logger.warn({ address }, 'authentication is off: whoever reaches this address may read and write everything');
  }
}

/** Does the work now and then, until stopped. */
function repeat(intervalMs: number, logger: Logger, work: () => Promise<unknown>): () => Promise<void> {
  const timer = setInterval(() => {
    work().catch((error: unknown) => logger.warn({ err: error }, 'a periodic task failed; it will be tried again'));
  }, intervalMs);
  return () => Promise.resolve(clearInterval(timer));
}
