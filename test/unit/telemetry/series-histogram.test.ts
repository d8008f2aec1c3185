import assert from 'node:assert/strict';
import { Histogram, Registry } from 'prom-client';
import { SeriesHistogram } from '../../../src/telemetry/series-histogram.ts';

describe('Metrics keep their names', () => {
  const options = { name: 'a_seconds', help: 'Time of a.', buckets: [0.001, 0.01, 0.1] };
  const values = [0, 0.0005, 0.001, 0.0011, 0.01, 0.05, 0.1, 0.2, 7];

  it('a histogram of series shows what one of prom-client shows', async () => {
    const [ours, theirs] = [new Registry(), new Registry()];
    const fast = new SeriesHistogram({ ...options, registers: [ours] });
    const slow = new Histogram({ ...options, labelNames: ['rpc', 'code'], registers: [theirs] });
    for (const value of values) {
      fast.series({ rpc: 'Render', code: 'OK' })(value);
      slow.labels('Render', 'OK').observe(value);
    }
    fast.series({ rpc: 'Render', code: 'NOT_FOUND' })(0.02);
    slow.labels('Render', 'NOT_FOUND').observe(0.02);
    fast.series({ rpc: 'Render', code: 'never' });
    assert.equal(await ours.metrics(), await theirs.metrics());
  });

  it('and one without labels shows from the start that nothing happened', async () => {
    const [ours, theirs] = [new Registry(), new Registry()];
    new SeriesHistogram({ ...options, registers: [ours] }).series();
    const slow = new Histogram({ ...options, registers: [theirs] });
    assert.match(await ours.metrics(), /^a_seconds_count 0$/m);
    assert.equal(await ours.metrics(), await theirs.metrics());
    assert.ok(slow);
  });
});
