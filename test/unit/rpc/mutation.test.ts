import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Cancelled, InvalidInput, Unavailable, WorkTooLong } from '../../../src/domain/errors.ts';
import { mutation } from '../../../src/rpc/mutation.ts';
import { valueOf } from '../../../src/rpc/mapping/struct.ts';
import { CreateTenantRequestSchema, TenantService } from '../../../gen/platen/v1/tenant_service_pb.js';
import { callOf, MemoryWrites, refusal } from '../../support/handler-call.ts';

const method = TenantService.method.createTenant;

/** A mutation that counts its runs. */
function counting(): { writes: MemoryWrites; send: Send; runs: () => number } {
  const writes = new MemoryWrites();
  let runs = 0;
  const handler = mutation(writes, method, (_violations, { tenant }) => async () => {
    runs += 1;
    return { tenant: { tenant }, seq: BigInt(runs) };
  });
  const send: Send = async (request, given) => {
    const answer = await handler(callOf(method, given), create(CreateTenantRequestSchema, request));
    return { tenant: answer.tenant?.tenant, seq: answer.seq };
  };
  return { writes, send, runs: () => runs };
}

type Send = (
  request: MessageInitShape<typeof CreateTenantRequestSchema>,
  given?: Parameters<typeof callOf>[1],
) => Promise<{ tenant: string | undefined; seq: bigint | undefined }>;

const tooLong = new WorkTooLong('check_draft', 2_000);

/** A mutation whose plan takes too long whenever it is told to. */
function planning() {
  const plan = { slow: true };
  const handler = mutation(new MemoryWrites(), method, async () => {
    if (plan.slow) throw tooLong;
    return async () => ({ seq: 7n });
  });
  const send = () => handler(callOf(method), create(CreateTenantRequestSchema, { requestId: 'r-1' }));
  return { plan, send };
}

describe('A repeated request gets the stored response', () => {
  it('the same content under the same request_id runs once', async () => {
    const { send, runs } = counting();
    const variables = { a: valueOf(1), b: valueOf(2) };
    const first = await send({ tenant: 'acme', variables, requestId: 'r-1' });
    const second = await send({ tenant: 'acme', variables: { b: valueOf(2), a: valueOf(1) }, requestId: 'r-1' });
    assert.deepEqual(first, { tenant: 'acme', seq: 1n });
    assert.deepEqual(second, first);
    assert.equal(runs(), 1);
  });

  it('without a request_id every call runs', async () => {
    const { send, runs } = counting();
    await send({ tenant: 'acme' });
    await send({ tenant: 'acme' });
    assert.equal(runs(), 2);
  });

  it('another caller has request_ids of his own', async () => {
    const { send, runs } = counting();
    await send({ tenant: 'acme', requestId: 'r-1' }, { caller: 'key:1' });
    await send({ tenant: 'acme', requestId: 'r-1' }, { caller: 'key:2' });
    assert.equal(runs(), 2);
  });

  it('even if its plan takes too long this time', async () => {
    const { plan, send } = planning();
    plan.slow = false;
    const first = await send();
    plan.slow = true;
    assert.deepEqual(await send(), first);
  });

  it('a plan that took too long is no answer to store', async () => {
    const { plan, send } = planning();
    await assert.rejects(send(), tooLong);
    plan.slow = false;
    assert.equal((await send()).seq, 7n);
  });
});

describe('Every violation is reported at once', () => {
  it('those that a plan comes to know in time, before those of the use case', async () => {
    const handler = mutation(new MemoryWrites(), method, async (violations) => {
      violations.add('capture_policy', 'OUT_OF_RANGE', 'is not known');
      await Promise.resolve();
      violations.add('variables', 'TOO_MANY', 'are too many');
      return async () => {
        throw new InvalidInput([{ field: 'tenant', reason: 'REQUIRED', description: 'name it' }]);
      };
    });
    assert.deepEqual(await refusal(handler(callOf(method), create(CreateTenantRequestSchema))), [
      'capture_policy OUT_OF_RANGE',
      'variables TOO_MANY',
      'tenant REQUIRED',
    ]);
  });
});

describe('Cancelled writes change nothing', () => {
  it('the transaction begins when the plan is made, and the plan knows when the call is over', async () => {
    const writes = new MemoryWrites();
    const { promise: made, resolve: finish } = Promise.withResolvers<void>();
    const given = callOf(method, { deadline: 1_800_000_000_000 });
    const handler = mutation(writes, method, async (_violations, _request, { deadline, signal }) => {
      assert.equal(deadline, given.deadline);
      assert.equal(signal, given.signal);
      await made;
      assert.deepEqual(writes.calls, []);
      return async () => ({ seq: 7n });
    });
    const answer = handler(given, create(CreateTenantRequestSchema));
    assert.deepEqual(writes.calls, []);
    finish();
    assert.equal((await answer).seq, 7n);
    assert.equal(writes.calls.length, 1);
  });

  for (const error of [new Cancelled(), new Unavailable('OVERLOADED', 'too much waits', 1_000)]) {
    it(`no transaction begins once a plan came to ${error.name}`, async () => {
      const writes = new MemoryWrites();
      const handler = mutation(writes, method, async () => {
        throw error;
      });
      await assert.rejects(handler(callOf(method), create(CreateTenantRequestSchema)), error);
      assert.deepEqual(writes.calls, []);
    });
  }
});

describe('A request id with other content is refused', () => {
  it('as REQUEST_ID_REUSED', async () => {
    const { send } = counting();
    await send({ tenant: 'acme', requestId: 'r-1' });
    await assert.rejects(send({ tenant: 'other', requestId: 'r-1' }), (error: unknown) => {
      return error instanceof InvalidInput && error.reason === 'REQUEST_ID_REUSED';
    });
  });

  it('a request_id of more than 128 characters is refused, together with all else', async () => {
    const { send } = counting();
    await send({ tenant: 'acme', requestId: '€'.repeat(128) });
    const writes = new MemoryWrites();
    const handler = mutation(writes, method, (violations) => {
      violations.add('capture_policy', 'OUT_OF_RANGE', 'is not known');
      return async () => {
        throw new InvalidInput([{ field: 'tenant', reason: 'REQUIRED', description: 'name it' }]);
      };
    });
    const request = create(CreateTenantRequestSchema, { requestId: 'r'.repeat(129) });
    assert.deepEqual(await refusal(handler(callOf(method), request)), [
      'capture_policy OUT_OF_RANGE',
      'request_id TOO_LONG',
      'tenant REQUIRED',
    ]);
    assert.equal(writes.calls[0]?.requestId, '');
  });
});

describe('Deadlines are honoured', () => {
  it('the transaction knows who calls, until when, and whether he is gone', async () => {
    const { send, writes } = counting();
    const { signal } = new AbortController();
    const given = { caller: 'key:1', traceId: 't'.repeat(32), deadline: 1_800_000_000_000, signal };
    await send({ tenant: 'acme', requestId: 'r-1' }, given);
    assert.deepEqual(writes.calls, [
      { actor: 'key:1', traceId: 't'.repeat(32), requestId: 'r-1', deadline: 1_800_000_000_000, signal },
    ]);
  });
});
