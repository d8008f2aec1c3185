import assert from 'node:assert/strict';
import { MetricsPage } from '../../../../bench/throughput/metrics-page.ts';

describe('The bench drives real gRPC and compares with a no-op call', () => {
  const page = new MetricsPage(`# HELP audit_journal_depth Receipts.
audit_journal_depth 17
audit_journal_depth_max 90
bundle_cache_hits_total{level="l1",kind="document"} 5
bundle_cache_hits_total{level="l1",kind="version"} 7
bundle_cache_hits_total{level="l2",kind="document"} 1.5e+3
`);

  it('reads a metric without labels, and not one whose name only begins so', () => {
    assert.equal(page.sum('audit_journal_depth'), 17);
  });

  it('adds up the series that have all the labels', () => {
    assert.equal(page.sum('bundle_cache_hits_total'), 1_512);
    assert.equal(page.sum('bundle_cache_hits_total', { level: 'l1' }), 12);
    assert.equal(page.sum('bundle_cache_hits_total', { kind: 'document', level: 'l2' }), 1_500);
  });

  it('what was never counted is 0', () => {
    assert.equal(page.sum('bundle_cache_hits_total', { level: 'database' }), 0);
    assert.equal(page.sum('audit_dead_letters_total'), 0);
  });
});
