import assert from 'node:assert/strict';
import { boundsOf, isKept } from '../../../../bench/throughput/bounds.ts';
import { rowOf } from '../../../../bench/throughput/row.ts';

const RENDER = rowOf('render', { renders_per_s: 10_000, ratio_to_floor: 0.65, p99_ms: 2, p999_ms: 10 });

describe('The bench drives real gRPC and compares with a no-op call', () => {
  it('a bound is met by the very value that it names, and missed beyond', () => {
    assert.deepEqual(boundsOf([RENDER]), [
      { scenario: 'render', what: 'ratio to the floor ≥ 0.65', value: 0.65, met: true },
      { scenario: 'render', what: 'p99 ≤ 2 ms', value: 2, met: true },
      { scenario: 'render', what: 'p99.9 ≤ 10 ms', value: 10, met: true },
    ]);
    const worse = rowOf('render', { ratio_to_floor: 0.649, p99_ms: 2.1, p999_ms: 10.1 });
    assert.deepEqual(boundsOf([worse]).map(({ met }) => met), [false, false, false]);
  });

  it('streams, batches and renders amid releases are compared with renders of the same run', () => {
    const rows = [
      RENDER,
      rowOf('stream', { renders_per_s: 20_000 }),
      rowOf('batch', { renders_per_s: 39_000 }),
      rowOf('churn', { renders_per_s: 9_000 }),
    ];
    const compared = boundsOf(rows).filter(({ scenario }) => scenario !== 'render');
    assert.deepEqual(compared.map(({ scenario, value, met }) => [scenario, value, met]), [
      ['stream', 2, true],
      ['batch', 3.9, false],
      ['churn', 0.9, true],
    ]);
  });

  it('what this machine cannot measure is neither met nor missed', () => {
    const rows = [rowOf('workers', { not_measured: '2 cores' })];
    assert.deepEqual(boundsOf(rows).map(({ value, met }) => [value, met]), [[null, null]]);
    assert.equal(isKept(rows, boundsOf(rows)), true);
  });

  it('a missed bound, an error and a scenario that went wrong each fail the run', () => {
    const failing = [
      rowOf('l2', { p99_ms: 3.1 }),
      rowOf('preview', { errors: 1 }),
      rowOf('cold', { failed: 'the renders did not miss memory' }),
    ];
    assert.equal(isKept([RENDER], boundsOf([RENDER])), true);
    for (const row of failing) assert.equal(isKept([RENDER, row], boundsOf([RENDER, row])), false, row.name);
  });
});
