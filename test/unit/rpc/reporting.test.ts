import assert from 'node:assert/strict';
import {
  Cancelled,
  DeadlineExceeded,
  InvalidInput,
  NotFound,
  Unavailable,
  Violations,
} from '../../../src/domain/errors.ts';
import { reporting } from '../../../src/rpc/reporting.ts';
import { refusal } from '../../support/handler-call.ts';

function found(): Violations {
  const violations = new Violations();
  violations.add('page_size', 'OUT_OF_RANGE', 'must not be negative');
  return violations;
}

describe('Every violation is reported at once', () => {
  it('those of reading the request together with those of the use case', async () => {
    const answer = reporting(found(), async () => {
      throw new InvalidInput([{ field: 'tenant', reason: 'BAD_FORMAT', description: 'is no id' }]);
    });
    assert.deepEqual(await refusal(answer), ['page_size OUT_OF_RANGE', 'tenant BAD_FORMAT']);
  });

  it('those of reading the request, though the use case succeeds or fails for another reason', async () => {
    assert.deepEqual(await refusal(reporting(found(), async () => 'done')), ['page_size OUT_OF_RANGE']);
    const failing = reporting(found(), async () => {
      throw new NotFound('tenant', 'acme');
    });
    assert.deepEqual(await refusal(failing), ['page_size OUT_OF_RANGE']);
  });

  it('a request without violations gets what the use case comes to', async () => {
    assert.equal(await reporting(new Violations(), async () => 'done'), 'done');
    const failing = reporting(new Violations(), async () => {
      throw new NotFound('tenant', 'acme');
    });
    await assert.rejects(failing, NotFound);
  });

  const elsewhere = [
    new TypeError('a defect'),
    new Unavailable('DATABASE_UNAVAILABLE', 'the database is away', 1_000),
    new DeadlineExceeded(),
    new Cancelled(),
  ];
  for (const error of elsewhere) {
    it(`a ${error.name} is not hidden behind them: it is no answer to the request`, async () => {
      const failing = reporting(found(), async () => {
        throw error;
      });
      await assert.rejects(failing, error);
    });
  }

  it('the use case runs once', async () => {
    let runs = 0;
    const count = async (): Promise<number> => (runs += 1);
    await reporting(new Violations(), count);
    await refusal(reporting(found(), count));
    assert.equal(runs, 2);
  });
});
