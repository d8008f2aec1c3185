import assert from 'node:assert/strict';
import { meanOf, rowOf, withRatios } from '../../../../bench/throughput/row.ts';
import { table } from '../../../../bench/throughput/table.ts';

describe('The bench drives real gRPC and compares with a no-op call', () => {
  const FLOOR = rowOf('floor', { calls_per_s: 30_000, thread_cpu_us: 30, errors: 0, p99_ms: 1 });

  it('the ratio is the no-op call by a render, however many renders a call has', () => {
    const rows = withRatios([
      FLOOR,
      rowOf('render', { thread_cpu_us: 40, renders_per_call: 1 }),
      rowOf('batch', { thread_cpu_us: 240, renders_per_call: 16 }),
      rowOf('preview', { thread_cpu_us: 300 }),
      rowOf('propagation', { p99_ms: 5 }),
    ]);
    assert.deepEqual(rows.map(({ ratio_to_floor }) => ratio_to_floor), [1, 0.75, 2, 0.1, null]);
  });

  it('there is no ratio without a floor', () => {
    assert.equal(withRatios([rowOf('render', { thread_cpu_us: 40 })])[0]!.ratio_to_floor, null);
  });

  it('the floor is the mean of before and after', () => {
    const again = rowOf('floor', { calls_per_s: 20_000, thread_cpu_us: 34, errors: 2, p99_ms: 3 });
    const { calls_per_s, thread_cpu_us, errors, p99_ms } = meanOf(FLOOR, again);
    assert.deepEqual({ calls_per_s, thread_cpu_us, errors, p99_ms }, {
      calls_per_s: 25_000,
      thread_cpu_us: 32,
      errors: 2,
      p99_ms: 1,
    });
  });

  it('the table says why a row is empty, in one line', () => {
    const rows = [FLOOR, rowOf('l2', { failed: 'the server ended:\nport taken' })];
    const bounds = [
      { scenario: 'floor', what: 'p99 ≤ 2 ms', value: 1, met: true },
      { scenario: 'floor', what: 'p99 ≤ 0.5 ms', value: 1, met: false },
      { scenario: 'floor', what: 'p99.9 ≤ 2 ms', value: null, met: null },
    ];
    const [floor, l2] = table(rows, bounds).split('\n').slice(3);
    assert.match(floor!, /p99 ≤ 2 ms: met \(1\.00\); p99 ≤ 0\.5 ms: MISSED \(1\.00\); p99\.9 ≤ 2 ms: not measured$/);
    assert.match(l2!, /^l2 .* 0 {2}failed: the server ended: port taken$/);
  });
});
