import assert from 'node:assert/strict';
import {
  InvalidInput,
  NotFound,
  RenderedTooLarge,
  RenderTooCostly,
  Unavailable,
  WorkTooLong,
} from '../../../src/domain/errors.ts';
import { packError, unpackError } from '../../../src/workers/error-transfer.ts';

/** On the other side of a thread's boundary. */
function transferred(error: unknown): Error {
  return unpackError(structuredClone(packError(error)));
}

describe('Errors keep what they are between threads', () => {
  const violation = { field: 'draft.content', reason: 'BLANK', description: 'must hold something' } as const;
  const table = [
    new InvalidInput([violation]),
    new InvalidInput([violation], 'VARIABLES_INVALID', { bundle_hash: 'abc' }, 700),
    new RenderedTooLarge(1_048_576),
    new RenderTooCostly(25_000),
    new WorkTooLong('check_output', 2_000),
  ];
  for (const error of table) {
    it(`as ${error.name}: ${error.message}`, () => {
      const there = transferred(error);
      assert.equal(there.constructor, error.constructor);
      assert.equal(there.message, error.message);
      assert.deepEqual({ ...there }, { ...error });
    });
  }

  for (const error of [new RangeError('out of range'), new NotFound('tenant', 'x'), new Unavailable('DRAINING', 'y', 1)]) {
    it(`but ${error.name} is a defect`, () => {
      const there = transferred(error);
      assert.equal(there.constructor, Error);
      assert.deepEqual([there.name, there.message, there.stack], [error.name, error.message, error.stack]);
    });
  }
});
