import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { firstOfStaggered } from '../../../src/routing/staggered-attempts.ts';

/** Attempts that end as the test says. */
class Attempts {
  readonly begun: { succeed: (value: string) => void; fail: (error: Error) => void; signal: AbortSignal }[] = [];
  readonly failures: string[] = [];
  readonly discarded: string[] = [];
  readonly stop = new AbortController();
  readonly first: Promise<string>;

  constructor() {
    this.first = firstOfStaggered((signal) => this.#attempt(signal), {
      everyMs: 500,
      signal: this.stop.signal,
      failed: ({ message }) => this.failures.push(message),
      discard: (late) => this.discarded.push(late),
    });
  }

  #attempt(signal: AbortSignal): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.begun.push({ succeed: resolve, fail: reject, signal });
    return promise;
  }
}

describe('A silent connection is caught up', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }));
  afterEach(() => mock.timers.reset());

  it('by the first attempt, if it succeeds', async () => {
    const attempts = new Attempts();
    attempts.begun[0]!.succeed('one');
    assert.equal(await attempts.first, 'one');
    mock.timers.tick(10_000);
    assert.equal(attempts.begun.length, 1);
  });

  it('by a later one while the first hangs; then the others are given up', async () => {
    const attempts = new Attempts();
    mock.timers.tick(499);
    assert.equal(attempts.begun.length, 1);
    mock.timers.tick(501);
    assert.deepEqual(attempts.begun.map(({ signal }) => signal.aborted), [false, false, false]);
    attempts.begun[1]!.succeed('two');
    assert.equal(await attempts.first, 'two');
    assert.deepEqual(attempts.begun.map(({ signal }) => signal.aborted), [true, true, true]);
  });

  it('by the first one, if it is only slow', async () => {
    const attempts = new Attempts();
    mock.timers.tick(5_000);
    attempts.begun[0]!.succeed('one');
    assert.equal(await attempts.first, 'one');
  });

  it('though others fail meanwhile, each of which is told', async () => {
    const attempts = new Attempts();
    mock.timers.tick(500);
    attempts.begun[1]!.fail(new Error('refused'));
    attempts.begun[0]!.succeed('one');
    assert.equal(await attempts.first, 'one');
    assert.deepEqual(attempts.failures, ['refused']);
  });

  it('by none, once all that began have failed', async () => {
    const attempts = new Attempts();
    mock.timers.tick(500);
    attempts.begun[0]!.fail(new Error('timed out'));
    attempts.begun[1]!.fail(new Error('refused'));
    await assert.rejects(attempts.first, { message: 'refused' });
    assert.deepEqual(attempts.failures, ['timed out', 'refused']);
  });

  it('what comes too late is ended', async () => {
    const attempts = new Attempts();
    mock.timers.tick(500);
    attempts.begun[0]!.succeed('one');
    attempts.begun[1]!.succeed('two');
    assert.equal(await attempts.first, 'one');
    assert.deepEqual([attempts.discarded, attempts.failures], [['two'], []]);
  });

  it('nothing is left when it is stopped', async () => {
    const attempts = new Attempts();
    mock.timers.tick(500);
    attempts.stop.abort(new Error('stopped'));
    attempts.begun[0]!.fail(new Error('given up'));
    attempts.begun[1]!.succeed('two');
    await assert.rejects(attempts.first, { message: 'stopped' });
    assert.deepEqual([attempts.discarded, attempts.failures], [['two'], []]);
  });
});
