import assert from 'node:assert/strict';
import type { MetricObject } from 'prom-client';
import { Metrics } from '../../../src/telemetry/metrics.ts';

describe('Metrics keep their names', () => {
  it('which are these', async () => {
    const metrics = new Metrics();
    const all = metrics.registry.getMetricsAsArray() as (MetricObject & { labelNames: string[] })[];
    const own = all.filter(({ name }) => !/^(process|nodejs)_/.test(name));
    const typed = own.map(({ name, type, labelNames }) => [name, type, ...labelNames].join(' '));
    assert.deepEqual(typed.toSorted(), [
      'audit_receipts_lost_total counter',
      'bundle_cache_hits_total counter level',
      'bundle_cache_misses_total counter level',
      'platen_route_map_applied_seq gauge',
      'platen_rpc_seconds histogram rpc code',
      'prompt_db_query_seconds histogram',
      'prompt_fallback_total counter reason',
      'prompt_release_propagation_seconds histogram',
      'prompt_render_latency_seconds histogram',
      'render_errors_total counter code',
      'worker_task_seconds histogram work',
      'worker_tasks_ended_total counter work reason',
    ]);
  });

  it('and has those of the process beside them', async () => {
    assert.match(await new Metrics().text(), /^process_cpu_seconds_total /m);
  });

  it('times renders from 50 µs', async () => {
    const metrics = new Metrics();
    metrics.renderLatency.observe(0.00004);
    assert.match(await metrics.registry.metrics(), /prompt_render_latency_seconds_bucket\{le="0.00005"\} 1\n/);
  });

  it('counts each server by itself', async () => {
    const [one, other] = [new Metrics(), new Metrics()];
    one.receiptsLost.inc();
    assert.match(await one.registry.metrics(), /^audit_receipts_lost_total 1$/m);
    assert.match(await other.registry.metrics(), /^audit_receipts_lost_total 0$/m);
  });
});
