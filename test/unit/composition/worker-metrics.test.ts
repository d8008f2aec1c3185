import assert from 'node:assert/strict';
import { WorkerMetrics, type MeasuredWorker } from '../../../src/composition/worker-metrics.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

class Worker implements MeasuredWorker {
  readonly id: number;
  readonly metrics = new Metrics();

  constructor(id: number) {
    this.id = id;
  }

  values() {
    return this.metrics.values();
  }
}

async function shown(page: Promise<string | undefined>, name: string): Promise<string | undefined> {
  return new RegExp(`^${name} (.*)$`, 'm').exec((await page)!)?.[1];
}

describe('Metrics of all workers are one page', () => {
  let metrics: WorkerMetrics;
  let workers: [Worker, Worker];

  beforeEach(() => {
    metrics = new WorkerMetrics();
    workers = [new Worker(1), new Worker(2)];
  });

  it('counters and histograms are summed up', async () => {
    workers[0].metrics.receiptsLost.inc(2);
    workers[1].metrics.receiptsLost.inc(3);
    for (const { metrics: each } of workers) each.rpc.series({ rpc: 'Render', code: 'OK' })(0.001);
    assert.equal(await shown(metrics.page(workers), 'audit_receipts_lost_total'), '5');
    const series = 'platen_rpc_seconds_bucket{le="0.001",rpc="Render",code="OK"}';
    assert((await metrics.page(workers))!.includes(`${series} 2\n`));
  });

  it('of what a sum says nothing about, the worst is shown', async () => {
    const states = [
      { seq: 7, lag: 0, unverifiedMs: Infinity, oldestSeconds: 1, depth: 10, breaker: 0 },
      { seq: 9, lag: 2, unverifiedMs: 10, oldestSeconds: 30, depth: 1, breaker: 2 },
    ];
    for (const [index, { seq, lag, unverifiedMs, oldestSeconds, depth, breaker }] of states.entries()) {
      const each = workers[index as 0 | 1].metrics;
      each.appliedSeq.set(seq);
      each.routeMapLag.set(lag);
      each.watchRoutes({ unverifiedMs: () => unverifiedMs });
      each.watchJournal({ depth, bytes: 100, oldestSeconds });
      each.storeBreakerState.set({ store: 'redis' }, breaker);
    }
    const page = metrics.page(workers);
    assert.equal(await shown(page, 'platen_route_map_applied_seq'), '7');
    assert.equal(await shown(page, 'platen_route_map_lag'), '2');
    assert.equal(await shown(page, 'platen_route_map_unverified_seconds'), '+Inf');
    assert.equal(await shown(page, 'audit_journal_oldest_seconds'), '30');
    assert.equal(await shown(page, 'audit_journal_depth'), '11');
    assert.equal(await shown(page, 'audit_journal_bytes'), '200');
    assert.equal(await shown(page, 'platen_store_breaker_state{store="redis"}'), '2');
  });

  it('no sum falls when a worker ends', async () => {
    for (const { metrics: each } of workers) {
      each.receiptsLost.inc(2);
      each.cacheBytes.reset();
      each.watchFirstLevel({ bytes: 100 });
    }
    assert.equal(await shown(metrics.page(workers), 'bundle_cache_bytes{level="l1"}'), '200');
    metrics.ended(1);
    const page = metrics.page([workers[1]]);
    assert.equal(await shown(page, 'audit_receipts_lost_total'), '4');
    assert.equal(await shown(page, 'bundle_cache_bytes{level="l1"}'), '100');
    metrics.ended(2);
    assert.equal(await shown(metrics.page([]), 'audit_receipts_lost_total'), '4');
    assert.equal(await shown(metrics.page([]), 'platen_worker_deaths_total'), '2');
  });

  it('a worker that ends while it is asked is left out', async () => {
    const ending: MeasuredWorker = { id: 3, values: () => Promise.resolve(undefined) };
    workers[0].metrics.receiptsLost.inc();
    assert.equal(await shown(metrics.page([workers[0], ending]), 'audit_receipts_lost_total'), '1');
  });

  it('and is not counted twice if it had answered', async () => {
    const other = Promise.withResolvers<undefined>();
    workers[0].metrics.receiptsLost.inc();
    await metrics.page(workers);
    const page = metrics.page([workers[0], { id: 3, values: () => other.promise }]);
    metrics.ended(1);
    other.resolve(undefined);
    assert.equal(await shown(page, 'audit_receipts_lost_total'), '1');
  });

  it('there is none while a worker that lives does not answer', async () => {
    const stuck: MeasuredWorker = { id: 3, values: () => new Promise(() => {}) };
    assert.equal(await new WorkerMetrics(1).page([workers[0], stuck]), undefined);
  });

  it('tells how many serve', async () => {
    metrics.serve(2);
    assert.equal(await shown(metrics.page([]), 'platen_workers'), '2');
  });
});
