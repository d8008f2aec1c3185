import { randomUUIDv7 } from 'node:crypto';
import type { JournaledReceipts } from './audit/journaled-receipts.ts';
import { openWork, type BoundedWork } from './composition/bounded-work.ts';
import { openContent, type Content } from './composition/content.ts';
import { databaseOf } from './composition/database-place.ts';
import { Opened } from './composition/opened.ts';
import { ReceiptWay } from './composition/receipts.ts';
import { StartUp } from './composition/start-up.ts';
import { ThreadedTrailJobs } from './composition/trail-jobs.ts';
import type { Config } from './config.ts';
import { Unavailable } from './domain/errors.ts';
import { postgresChangeLog } from './routing/postgres-change-log.ts';
import { RouteFeed } from './routing/route-feed.ts';
import { auditHandlers } from './rpc/handlers/audit-handlers.ts';
import { bundleHandlers } from './rpc/handlers/bundle-handlers.ts';
import { renderHandlers } from './rpc/handlers/render-handlers.ts';
import { templateHandlers } from './rpc/handlers/template-handlers.ts';
import { tenantHandlers } from './rpc/handlers/tenant-handlers.ts';
import type { ServedService } from './rpc/method.ts';
import { RpcServer, type Addresses } from './rpc/server.ts';
import { ActivationService } from './services/activation-service.ts';
import { AuditService } from './services/audit-service.ts';
import { BundleService } from './services/bundle-service.ts';
import { OutputCheckService } from './services/output-check-service.ts';
import { PreviewService } from './services/preview-service.ts';
import { ReleaseService } from './services/release-service.ts';
import { RendererService } from './services/renderer-service.ts';
import { isVerified } from './services/route-resolution.ts';
import { RouteService } from './services/route-service.ts';
import type { LastPointers } from './services/render-ports.ts';
import type { ReceiptPolicy } from './services/receipt-policy.ts';
import type { TrailJobs } from './services/trail-jobs.ts';
import { TemplateService } from './services/template-service.ts';
import { TenantService } from './services/tenant-service.ts';
import { SERVER_ROLE } from './storage/connection.ts';
import { openDatabase, type Database } from './storage/database.ts';
import { migrate } from './storage/migrate.ts';
import { PostgresStores } from './storage/postgres-stores.ts';
import { PostgresWrites, type Applied } from './storage/writes.ts';
import type { Logger } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';
import { feedObserver, renderObserver } from './telemetry/observers.ts';

/** A server that answers. */
export interface RunningServer {
  /** As bound. */
  readonly grpcAddress: string;
  readonly httpAddress: string;
  /** Finishes what is in flight, then stops everything, the embedded database last. */
  stop(): Promise<void>;
}

/** The other servers on the same addresses, if there are any. */
export interface Company {
  /** Others serve already: the ports are opened once this server can serve too, so that it takes no calls in vain. */
  readonly listensLate: boolean;
  /** Gives the metrics of this server, which from then on show those of all. */
  share(metrics: Metrics): void;
  /** Both ports are open. */
  listening(addresses: Addresses): void;
}

const ALONE: Company = { listensLate: false, share: () => {}, listening: () => {} };

const STATEMENT_TIMEOUT_MS = 10_000;
const PURGE_INTERVAL_MS = 3_600_000;
const PARTITION_INTERVAL_MS = 3_600_000;
/** What receipts under way have for the database at least, when the server stops. */
const RECEIPT_DRAIN_MIN_MS = 2_000;
const TRAIL_JOB_MEMORY_MB = 256;
/** A count goes over millions of rows. */
const TRAIL_STATEMENT_TIMEOUT_MS = 60_000;
/** Without Redis nobody leaves any. */
const NO_POINTERS: LastPointers = { find: () => Promise.resolve(undefined) };

/** After a commit, the answer waits this long at most for the replica's own route map. */
const OWN_WRITE_WAIT_MS = 10_000;
const OWN_WRITE_RETRY_MS = 1_000;
/** What is left of a deadline for the answer itself. */
const ANSWER_MARGIN_MS = 100;

/**
 * The composition root: builds everything from the configuration, and serves. The ports are open, for probes, as soon
 * as possible; SERVING and ready follow once the migrations are in and the route map is loaded, however long the
 * database is away before; or, while it is away, once pointers are found in Redis.
 *
 * @param signal gives up a start that is still waiting for the database
 * @param company if it is not the only server on its addresses
 * @throws Error if a port is taken, or the database refuses for a reason that waiting does not mend
 */
export async function startServer(
  config: Config,
  logger: Logger,
  signal: AbortSignal,
  company = ALONE,
): Promise<RunningServer> {
  const opened = new Opened();
  try {
    return await open(config, logger, signal, company, opened);
  } catch (error) {
    await opened.close().catch((failure: unknown) => logger.error({ err: failure }, 'not everything could be closed'));
    throw error;
  }
}

/** Brings the configured database up to date. An embedded one is started for it, and stopped. */
export async function migrateDatabase(config: Config, logger: Logger): Promise<void> {
  const { ownerUrl, serverUrl, stop } = await databaseOf(config, logger);
  try {
    await migrate(ownerUrl, serverUrl, {
      onWait: () => logger.warn('another process migrates the database; waiting for it'),
    });
  } finally {
    await stop();
  }
}

async function open(
  config: Config,
  logger: Logger,
  signal: AbortSignal,
  company: Company,
  opened: Opened,
): Promise<RunningServer> {
  signal.throwIfAborted();
  const metrics = new Metrics();
  company.share(metrics);
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

  const content = await openContent(config, place.serverUrl, metrics, logger, opened, () => isVerified(feed));
  const feedEvents = feedObserver(metrics, logger);
  const startUpEvents = {
    ...feedEvents,
    disconnected: (error: Error) => {
      feedEvents.disconnected(error);
      startUp.away();
    },
  };
  // For sessions that a pooler must not give away after each transaction.
  const directUrl = config.databaseDirectUrl ?? place.serverUrl;
  const changeLog = postgresChangeLog(directUrl, SERVER_ROLE);
  const feed = new RouteFeed(changeLog, startUpEvents, Date.now, content.followers);
  metrics.watchRoutes(feed);
  opened.add(() => feed.stop());
  const writes = new PostgresWrites(database, ownWrites(feed, logger), () => new Date());
  const way = new ReceiptWay(config, directUrl, metrics, logger);
  let drainUntil = 0;
  opened.add(() => way.close(Math.max(drainUntil, Date.now() + RECEIPT_DRAIN_MIN_MS)));
  const jobs = openTrailJobs(directUrl, config, opened);
  const work = openWork(metrics, logger, opened);

  const services = serve({
    database,
    content,
    feed,
    writes,
    receipts: way.receipts,
    receiptPolicy: config.auditOnFailure,
    jobs,
    work,
    metrics,
    logger,
  });
  const startUp = new StartUp({
    migrationUrls: config.migrateOnStart ? { owner: place.ownerUrl, server: place.serverUrl } : undefined,
    database,
    writes,
    feed,
    lastPointers: content.lastPointers,
    logger,
  });
  // Closed after the drain, so that the drain begins at once, however the start goes on.
  opened.add(() => startUp.stop());
  const rpc = new RpcServer({ services, logger, metrics, connectionAgeMs: config.connectionAgeMs });
  const listen = async () => {
    const addresses = await rpc.start(config);
    opened.add(() => {
      drainUntil = Date.now() + config.drainTimeoutMs;
      return rpc.drain(config.drainTimeoutMs);
    });
    const { grpcAddress, httpAddress } = addresses;
    logger.info({ grpc: grpcAddress, http: httpAddress }, 'listening');
    warnAboutOpenDoors(logger, [grpcAddress, httpAddress]);
    company.listening(addresses);
    return addresses;
  };
  const early = company.listensLate ? undefined : await listen();
  opened.add(repeat(PURGE_INTERVAL_MS, logger, () => writes.purgeRequests()));

  await startUp.ready(signal);
  way.makePartitions();
  opened.add(repeat(PARTITION_INTERVAL_MS, logger, () => Promise.resolve(way.makePartitions())));
  rpc.setServing();
  const addresses = early ?? (await listen());
  return { ...addresses, stop: () => opened.close() };
}

/** Long work on the trail, in threads that end with the server. */
function openTrailJobs(url: string, config: Config, opened: Opened): TrailJobs {
  const { databasePoolWaitMs: poolWaitMs } = config;
  const database = { url, poolWaitMs, statementTimeoutMs: TRAIL_STATEMENT_TIMEOUT_MS };
  const jobs = new ThreadedTrailJobs({ database, memoryMb: TRAIL_JOB_MEMORY_MB });
  opened.add(() => jobs.close());
  return jobs;
}

/** The services with their handlers: from request to answer, without a transport. */
function serve(parts: {
  database: Database;
  content: Content;
  feed: RouteFeed;
  writes: PostgresWrites;
  receipts: JournaledReceipts;
  receiptPolicy: ReceiptPolicy;
  jobs: TrailJobs;
  work: BoundedWork;
  metrics: Metrics;
  logger: Logger;
}): ServedService[] {
  const { database, content, feed, writes, receipts, receiptPolicy, jobs, work, metrics, logger } = parts;
  const stores = new PostgresStores(database.access);
  const lookups = { routes: feed, bundles: content.bundles, versions: content.versions };
  const renderer = new RendererService({
    ...lookups,
    lastPointers: content.lastPointers ?? NO_POINTERS,
    receipts,
    receiptPolicy,
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
      new RouteService(feed),
      { logger, metrics },
    ),
    auditHandlers(writes, new AuditService({ stores, underWay: receipts, jobs, now: Date.now })),
  ];
}

/** Waits until this replica shows a committed write (docs/adr/0029). @throws Unavailable SEQ_NOT_APPLIED */
function ownWrites(feed: RouteFeed, logger: Logger): Applied {
  return async (seq, deadline) => {
    const until = Math.min(Date.now() + OWN_WRITE_WAIT_MS, (deadline ?? Infinity) - ANSWER_MARGIN_MS);
    if (await feed.written(seq, until)) return;
    const applied = feed.loaded?.seq ?? 0;
    logger.error({ seq, applied }, 'a write is committed, but this replica has not applied it yet');
    throw new Unavailable(
      'SEQ_NOT_APPLIED',
      `the write is committed as change ${seq}, but this replica shows only change ${applied} yet; ` +
        'repeat it with the same request_id, or pass min_seq to another replica',
      OWN_WRITE_RETRY_MS,
      { min_seq: String(seq), applied_seq: String(applied) },
    );
  };
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
