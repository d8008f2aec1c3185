import assert from 'node:assert/strict';
import { runOutage, type OutageRun } from '../support/chaos/receipt-runs.ts';

const AWAY_SECONDS = 6;
const BOUND_MS = 120_000;
/** What a server takes for itself beside receipts, from one moment to another. */
const OWN_MEMORY_BYTES = 64 * 1024 * 1024;

describe('Receipts pass through a local journal', () => {
  let run: OutageRun;

  before(async function () {
    this.timeout(BOUND_MS);
    run = await runOutage(AWAY_SECONDS, () => {});
  });

  it('renders go on while PostgreSQL is away', () => {
    assert.deepEqual([...run.failures], []);
    assert(run.answeredMeanwhile > 0);
    assert.equal(run.unkept, 0);
  });

  it('receipts wait on the disk and not in memory', () => {
    assert(run.deepest >= run.answeredMeanwhile * 0.9, `${run.deepest} of ${run.answeredMeanwhile} waited`);
    assert(run.grown < OWN_MEMORY_BYTES, `memory grew by ${run.grown} bytes`);
    assert(run.journaled > 2 * run.grown, `memory grew by ${run.grown} bytes, and ${run.journaled} waited`);
  });

  it('afterwards all of them arrive, exactly once, and the trail verifies', () => {
    assert.deepEqual({ missing: run.missing, doubled: run.doubled, findings: run.findings }, {
      missing: [],
      doubled: [],
      findings: [],
    });
  });
});
