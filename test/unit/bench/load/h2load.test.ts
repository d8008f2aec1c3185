import assert from 'node:assert/strict';
import { readH2load } from '../../../../bench/load/h2load.ts';

describe('The bench drives real gRPC and compares with a no-op call', () => {
  it('takes no more answers from h2load than its bytes are enough for', () => {
    const output = `
finished in 2.00s, 32579.00 req/s, 64.48MB/s
requests: 65158 total, 65222 started, 65158 done, 65158 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 65180 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 128.96MB (135224221) total, 318.89KB (326540) headers (space savings 95.86%), 127.46MB (133651590) data
`;
    assert.deepEqual(readH2load(output, 4096), { calls: 32590, seconds: 2, errors: 32568, generator: 'h2load' });
    assert.deepEqual(readH2load(output, 1000), { calls: 65158, seconds: 2, errors: 0, generator: 'h2load' });
  });

  it('takes no run of h2load for one in which it made no call', () => {
    const output = `
finished in 1.00s, 0.00 req/s, 0B/s
requests: 0 total, 0 started, 0 done, 0 succeeded, 0 failed, 0 errored, 0 timeout
traffic: 0B (0) total, 0B (0) headers (space savings 0.00%), 0B (0) data
`;
    assert.throws(() => readH2load(output, 1000), /h2load made no call/);
  });
});
