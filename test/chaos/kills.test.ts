import assert from 'node:assert/strict';
import { runKills, type ReceiptRun } from '../support/chaos/receipt-runs.ts';

const KILLS = 5;
const BOUND_MS = 120_000;

describe('Receipts reach the chain whatever is killed when', () => {
  let run: ReceiptRun;

  before(async function () {
    this.timeout(BOUND_MS);
    run = await runKills({ rounds: KILLS, seed: 1, say: () => {} });
  });

  it('servers are killed under load: every acknowledged receipt is there', () => {
    assert(run.kept > KILLS, 'hardly anything was rendered');
    assert.deepEqual(run.missing, []);
  });

  it('exactly once', () => assert.deepEqual(run.doubled, []));

  it('and the trail verifies', () => {
    assert.deepEqual(run.findings, []);
    assert(run.verified >= run.kept);
  });

  it('none was said not to be recorded', () => assert.equal(run.unkept, 0));
});
