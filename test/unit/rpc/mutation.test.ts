import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { InvalidInput } from '../../../src/domain/errors.ts';
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
