import {
  Counter,
  Gauge,
  Histogram,
  Registry,
  collectDefaultMetrics,
  type MetricObjectWithValues,
  type MetricValue,
} from 'prom-client';
import { SeriesHistogram } from './series-histogram.ts';

/** From 50 µs: a render that touches no store takes about that long. */
const RENDER_BUCKETS = [
  0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5,
];
const RPC_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const QUERY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const WORK_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4];
const DRAIN_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const PROPAGATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What waits in the journal. */
export interface JournalState {
  readonly depth: number;
  readonly bytes: number;
  readonly oldestSeconds: number;
}

/** Metrics with their values, as plain data. */
export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[];

/** What is true of the process, however many servers it runs; its observers cannot be taken back. */
const PROCESS = new Registry();
collectDefaultMetrics({ register: PROCESS });

/**
 * The metrics of one server, in a registry of its own, so that two servers in one process do not count together.
 * The names are part of the contract (spec section 5); times are in seconds. Of several workers the sum is shown, or
 * what a metric names as its aggregator: the worst.
 */
export class Metrics {
  readonly registry = new Registry();
  #routes: { unverifiedMs(): number } = { unverifiedMs: () => Infinity };
  #firstLevel: { readonly bytes: number } = { bytes: 0 };
  /** Documents found in memory, which the counter has not been told yet: nearly every render finds one. */
  firstLevelHits = 0;
  #page = (): Promise<string> => this.#all.metrics();
  #journal: JournalState = { depth: 0, bytes: 0, oldestSeconds: 0 };

  /** Time of one render inside the server, decoding and encoding left out. */
  readonly renderLatency = new SeriesHistogram({
    name: 'prompt_render_latency_seconds',
    help: 'Time to render one prompt.',
    buckets: RENDER_BUCKETS,
    registers: [this.registry],
  });
  /** Documents, and hashes of exact versions, that were found, by level and kind. */
  readonly cacheHits: Counter<'level' | 'kind'> = new Counter({
    name: 'bundle_cache_hits_total',
    help: 'Documents and exact versions found, by level and kind.',
    labelNames: ['level', 'kind'],
    collect: () => {
      this.cacheHits.inc({ level: 'l1', kind: 'document' }, this.firstLevelHits);
      this.firstLevelHits = 0;
    },
    registers: [this.registry],
  });
  /** Those looked for in vain, by level and kind. */
  readonly cacheMisses = new Counter({
    name: 'bundle_cache_misses_total',
    help: 'Documents and exact versions looked for in vain, by level and kind.',
    labelNames: ['level', 'kind'],
    registers: [this.registry],
  });
  /** What Redis held under keys that it does not belong to, by kind; pointers included. */
  readonly cacheCorrupt = new Counter({
    name: 'bundle_cache_corrupt_total',
    help: 'Values in Redis that were not what their key says, by kind.',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  readonly redisErrors = new Counter({
    name: 'platen_redis_errors_total',
    help: 'Operations of Redis that failed, those not tried included, by operation.',
    labelNames: ['operation'],
    registers: [this.registry],
  });
  /** Of the guard of each store. */
  readonly storeBreakerState = new Gauge({
    name: 'platen_store_breaker_state',
    help: 'State of the breaker of a store: 0 closed, 1 half open, 2 open.',
    labelNames: ['store'],
    aggregator: 'max',
    registers: [this.registry],
  });
  /** Work that a guard refused or gave up. */
  readonly storeRejections = new Counter({
    name: 'platen_store_rejections_total',
    help: 'Work that was refused or given up because a store does not answer, by store and reason.',
    labelNames: ['store', 'reason'],
    registers: [this.registry],
  });
  /** What the compiled documents take in memory, asked for when metrics are collected. */
  readonly cacheBytes: Gauge<'level'> = new Gauge({
    name: 'bundle_cache_bytes',
    help: 'Bytes that a cache holds, by level.',
    labelNames: ['level'],
    collect: () => this.cacheBytes.set({ level: 'l1' }, this.#firstLevel.bytes),
    registers: [this.registry],
  });
  /** Renders that failed, by the name of the status code. */
  readonly renderErrors = new Counter({
    name: 'render_errors_total',
    help: 'Renders that failed, by status code.',
    labelNames: ['code'],
    registers: [this.registry],
  });
  /** Renders that nothing released answered, by what answered instead. */
  readonly fallbacks = new Counter({
    name: 'prompt_fallback_total',
    help: 'Renders answered by a fallback, by reason.',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly databaseQuery = new Histogram({
    name: 'prompt_db_query_seconds',
    help: 'Time of one database query.',
    buckets: QUERY_BUCKETS,
    registers: [this.registry],
  });
  /** From a change's commit to its being applied here. */
  readonly releasePropagation = new Histogram({
    name: 'prompt_release_propagation_seconds',
    help: 'Time from the commit of a change until this replica applied it.',
    buckets: PROPAGATION_BUCKETS,
    registers: [this.registry],
  });
  /** Renders that were answered though their receipt is not kept anywhere. */
  readonly receiptsLost = new Counter({
    name: 'audit_receipts_lost_total',
    help: 'Renders answered without a receipt.',
    registers: [this.registry],
  });
  /** Receipts that wait in the journal when they should be in the chain before their render is answered. */
  readonly receiptsLate = new Counter({
    name: 'audit_receipts_late_total',
    help: 'Receipts that were journaled but not in the database in time.',
    registers: [this.registry],
  });
  /** What waits is asked for when metrics are collected, so that its age grows while nothing happens. */
  readonly journalDepth: Gauge = new Gauge({
    name: 'audit_journal_depth',
    help: 'Receipts that are journaled and not in the database yet.',
    collect: () => this.journalDepth.set(this.#journal.depth),
    registers: [this.registry],
  });
  readonly journalBytes: Gauge = new Gauge({
    name: 'audit_journal_bytes',
    help: 'Bytes that the journal takes on disk.',
    collect: () => this.journalBytes.set(this.#journal.bytes),
    registers: [this.registry],
  });
  readonly journalOldest: Gauge = new Gauge({
    name: 'audit_journal_oldest_seconds',
    help: 'Age of the oldest receipt that is not in the database yet; 0 if there is none.',
    collect: () => this.journalOldest.set(this.#journal.oldestSeconds),
    aggregator: 'max',
    registers: [this.registry],
  });
  /** Groups of receipts that the journal did not take, by reason. */
  readonly journalFailures = new Counter({
    name: 'audit_journal_failures_total',
    help: 'Writes that the journal refused or failed, by reason.',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  /** Writes that were interrupted; nobody was told that they succeeded. */
  readonly journalTorn = new Counter({
    name: 'audit_journal_torn_total',
    help: 'Interrupted writes found in journals.',
    registers: [this.registry],
  });
  readonly drained = new Counter({
    name: 'audit_drained_total',
    help: 'Receipts that this replica brought into the database.',
    registers: [this.registry],
  });
  readonly drainTime = new Histogram({
    name: 'audit_drain_seconds',
    help: 'Time of the transactions of one batch of receipts.',
    buckets: DRAIN_BUCKETS,
    registers: [this.registry],
  });
  readonly deadLetters = new Counter({
    name: 'audit_dead_letters_total',
    help: 'Lines of journals that were set aside because the database refuses them or they are damaged.',
    registers: [this.registry],
  });
  readonly appliedSeq = new Gauge({
    name: 'platen_route_map_applied_seq',
    help: 'The change that this replica has applied last.',
    aggregator: 'min',
    registers: [this.registry],
  });
  readonly routeMapLag = new Gauge({
    name: 'platen_route_map_lag',
    help: 'Changes that this replica knows of and has not applied yet.',
    aggregator: 'max',
    registers: [this.registry],
  });
  /** Asked for when metrics are collected, so that it grows while nothing happens; +Inf: nothing is loaded yet. */
  readonly routeMapUnverified: Gauge = new Gauge({
    name: 'platen_route_map_unverified_seconds',
    help: 'Time since the pointers of this replica were last known to be those of the database.',
    collect: () => this.routeMapUnverified.set(this.#routes.unverifiedMs() / 1_000),
    aggregator: 'max',
    registers: [this.registry],
  });
  /** The first load counts. */
  readonly routeMapReloads = new Counter({
    name: 'platen_route_map_reloads_total',
    help: 'Times that this replica has loaded all pointers, the first one included.',
    registers: [this.registry],
  });
  readonly rpc = new SeriesHistogram({
    name: 'platen_rpc_seconds',
    help: 'Time of one call, by RPC and status code.',
    buckets: RPC_BUCKETS,
    registers: [this.registry],
  });
  /** Of work in threads, from its request to its end, however it ended; the wait for a thread included. */
  readonly workerTask = new Histogram({
    name: 'worker_task_seconds',
    help: 'Time of one task of the worker threads, by work.',
    labelNames: ['work'],
    buckets: WORK_BUCKETS,
    registers: [this.registry],
  });
  /** Work in threads that has no answer though its caller waited for it. */
  readonly workerTasksEnded = new Counter({
    name: 'worker_tasks_ended_total',
    help: 'Tasks of the worker threads that were ended or refused, by work and reason.',
    labelNames: ['work', 'reason'],
    registers: [this.registry],
  });

  get #all(): Registry {
    return Registry.merge([this.registry, PROCESS]);
  }

  /** Names the pointers whose proof is told from then on. */
  watchRoutes(routes: { unverifiedMs(): number }): void {
    this.#routes = routes;
  }

  /** Names the first level, whose bytes are told from then on. */
  watchFirstLevel(cache: { readonly bytes: number }): void {
    this.#firstLevel = cache;
  }

  /** Names the journal, whose state is told from then on. */
  watchJournal(journal: JournalState): void {
    this.#journal = journal;
  }

  /** Has the page made elsewhere, of what several servers have. */
  pageFrom(page: () => Promise<string>): void {
    this.#page = page;
  }

  /** The values of this server alone, those of its process included. */
  values(): Promise<MetricValues> {
    return this.#all.getMetricsAsJSON();
  }

  /**
   * All metrics in the text format of Prometheus, those of the process included.
   * @throws whatever the page that was named throws
   */
  text(): Promise<string> {
    return this.#page();
  }
}
