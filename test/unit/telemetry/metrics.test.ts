import assert from 'node:assert/strict';
import type { MetricObject } from 'prom-client';
import { Metrics } from '../../../src/telemetry/metrics.ts';

describe('The first level is bounded by bytes', () => {
  it('and what it holds is told when metrics are collected', async () => {
    const metrics = new Metrics();
    assert.match(await metrics.text(), /^bundle_cache_bytes\{level="l1"\} 0$/m);
    const cache = { bytes: 12 };
    metrics.watchFirstLevel(cache);
    assert.match(await metrics.text(), /^bundle_cache_bytes\{level="l1"\} 12$/m);
    cache.bytes = 34;
    assert.match(await metrics.text(), /^bundle_cache_bytes\{level="l1"\} 34$/m);
  });
});

describe('A replica shows how far it is', () => {
  it('and for how long its pointers are unproved, when metrics are collected', async () => {
    const metrics = new Metrics();
    assert.match(await metrics.text(), /^platen_route_map_unverified_seconds \+Inf$/m);
    let unverified = 250;
    metrics.watchRoutes({ unverifiedMs: () => unverified });
    assert.match(await metrics.text(), /^platen_route_map_unverified_seconds 0.25$/m);
    unverified = 60_000;
    assert.match(await metrics.text(), /^platen_route_map_unverified_seconds 60$/m);
  });
});

describe('Receipts pass through a local journal', () => {
  it('and what waits in it is told when metrics are collected', async () => {
    const metrics = new Metrics();
    const shown = async () => {
      const text = await metrics.text();
      return ['depth', 'bytes', 'oldest_seconds'].map((name) =>
        Number(new RegExp(`^audit_journal_${name} (.*)$`, 'm').exec(text)?.[1]),
      );
    };
    assert.deepEqual(await shown(), [0, 0, 0]);
    const journal = { depth: 3, bytes: 4_096, oldestSeconds: 0.5 };
    metrics.watchJournal(journal);
    assert.deepEqual(await shown(), [3, 4_096, 0.5]);
    journal.oldestSeconds = 1.5;
    assert.deepEqual(await shown(), [3, 4_096, 1.5]);
  });
});

describe('Metrics keep their names', () => {
  it('which are these', async () => {
    const metrics = new Metrics();
    const all = metrics.registry.getMetricsAsArray() as (MetricObject & { labelNames?: string[] })[];
    const own = all.filter(({ name }) => !/^(process|nodejs)_/.test(name));
    const typed = own.map(({ name, type, labelNames = [] }) => [name, type, ...labelNames].join(' '));
    assert.deepEqual(typed.toSorted(), [
      'audit_dead_letters_total counter',
      'audit_drain_seconds histogram',
      'audit_drained_total counter',
      'audit_journal_bytes gauge',
      'audit_journal_depth gauge',
      'audit_journal_failures_total counter reason',
      'audit_journal_oldest_seconds gauge',
      'audit_journal_torn_total counter',
      'audit_receipts_late_total counter',
      'audit_receipts_lost_total counter',
      'bundle_cache_bytes gauge level',
      'bundle_cache_corrupt_total counter kind',
      'bundle_cache_hits_total counter level kind',
      'bundle_cache_misses_total counter level kind',
      'platen_redis_errors_total counter operation',
      'platen_route_map_applied_seq gauge',
      'platen_route_map_lag gauge',
      'platen_route_map_reloads_total counter',
      'platen_route_map_unverified_seconds gauge',
      'platen_rpc_seconds histogram',
      'platen_store_breaker_state gauge store',
      'platen_store_rejections_total counter store reason',
      'prompt_db_query_seconds histogram',
      'prompt_fallback_total counter reason',
      'prompt_release_propagation_seconds histogram',
      'prompt_render_latency_seconds histogram',
      'render_errors_total counter code',
      'worker_task_seconds histogram work',
      'worker_tasks_ended_total counter work reason',
    ]);
  });

  it('calls are counted by method and code', async () => {
    const metrics = new Metrics();
    metrics.rpc.series({ rpc: 'Render', code: 'OK' })(0.001);
    assert.match(await metrics.registry.metrics(), /^platen_rpc_seconds_count\{rpc="Render",code="OK"\} 1$/m);
  });

  it('and has those of the process beside them', async () => {
    assert.match(await new Metrics().text(), /^process_cpu_seconds_total /m);
  });

  it('times renders from 50 µs', async () => {
    const metrics = new Metrics();
    metrics.renderLatency.series()(0.00004);
    assert.match(await metrics.registry.metrics(), /prompt_render_latency_seconds_bucket\{le="0.00005"\} 1\n/);
  });

  it('counts each server by itself', async () => {
    const [one, other] = [new Metrics(), new Metrics()];
    one.receiptsLost.inc();
    assert.match(await one.registry.metrics(), /^audit_receipts_lost_total 1$/m);
    assert.match(await other.registry.metrics(), /^audit_receipts_lost_total 0$/m);
  });
});
