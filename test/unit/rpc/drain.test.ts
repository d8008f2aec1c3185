import assert from 'node:assert/strict';
import { Drain } from '../../../src/rpc/drain.ts';
import { TestCall } from '../../support/test-call.ts';

describe('Draining loses no request', () => {
  for (const [order, leaving] of [
    ['first to last', [0, 1, 2]],
    ['last to first', [4, 3, 2]],
    ['from the middle', [2, 0, 4]],
  ] as const) {
    it(`those are told to end that have not been answered, whichever were (${order})`, () => {
      const drain = new Drain();
      const calls = Array.from({ length: 5 }, () => new TestCall());
      const open = calls.map((call) => drain.enter(call));
      for (const index of leaving) drain.leave(open[index]!);
      drain.abortAll();
      const told = calls.map((call) => call.aborted);
      assert.deepEqual(told, calls.map((_, index) => !(leaving as readonly number[]).includes(index)));
    });
  }
});
