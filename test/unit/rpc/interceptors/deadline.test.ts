import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AuditService } from '../../../../gen/platen/v1/audit_service_pb.js';
import { RenderRequestSchema } from '../../../../gen/platen/v1/render_service_pb.js';
import { Cancelled, DeadlineExceeded } from '../../../../src/domain/errors.ts';
import { Drain } from '../../../../src/rpc/drain.ts';
import type { Next } from '../../../../src/rpc/interceptor.ts';
import { DEFAULT_STREAM_TIMEOUT_MS, DEFAULT_TIMEOUT_MS, deadline } from '../../../../src/rpc/interceptors/deadline.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { memoryLogger } from '../../../support/rpc-server.ts';
import { TestCall } from '../../../support/test-call.ts';

describe('Deadlines are honoured', () => {
  const parts = { logger: memoryLogger().logger, metrics: new Metrics(), drain: new Drain(), connectionAgeMs: 0 };
  const interceptor = deadline(new TestCall().method, parts);
  const request = { message: create(RenderRequestSchema) };
  const never: Next<string> = () => new Promise(() => {});

  beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 }));
  afterEach(() => mock.timers.reset());

  it('passes on what the handler answers or throws', async () => {
    assert.equal(await interceptor(new TestCall(), request, async () => 'done'), 'done');
    const error = new Error('x');
    await assert.rejects(interceptor(new TestCall(), request, () => Promise.reject(error)), error);
    await assert.rejects(
      interceptor(new TestCall(), request, () => {
        throw error;
      }),
      error,
    );
  });

  it('answers at the deadline of the caller', async () => {
    const call = new TestCall({ deadline: Date.now() + 50 });
    const answer = interceptor(call, request, never);
    mock.timers.tick(49);
    assert.equal(call.signal.aborted, false);
    mock.timers.tick(1);
    await assert.rejects(answer, DeadlineExceeded);
    assert.equal(call.signal.reason.name, 'DeadlineExceeded');
  });

  it('answers after 30 s where the caller set none', async () => {
    assert.equal(DEFAULT_TIMEOUT_MS, 30_000);
    const call = new TestCall();
    const answer = interceptor(call, request, never);
    mock.timers.tick(29_999);
    assert.equal(call.signal.aborted, false);
    mock.timers.tick(1);
    await assert.rejects(answer, DeadlineExceeded);
  });

  it('answers after an hour where it is a stream', async () => {
    assert.equal(DEFAULT_STREAM_TIMEOUT_MS, 3_600_000);
    const method = AuditService.method.verifyAudit;
    const call = new TestCall({ method });
    const answer = deadline(method, parts)(call, request, never);
    mock.timers.tick(3_599_999);
    assert.equal(call.signal.aborted, false);
    mock.timers.tick(1);
    await assert.rejects(answer, DeadlineExceeded);
  });

  it('answers at once where it has passed already', async () => {
    const answer = interceptor(new TestCall({ deadline: Date.now() - 1 }), request, never);
    mock.timers.tick(1);
    await assert.rejects(answer, DeadlineExceeded);
  });

  it('takes deadlines that are longer than a timer', async () => {
    const call = new TestCall({ deadline: Date.now() + 2 ** 40 });
    const { promise, resolve } = Promise.withResolvers<string>();
    const answer = interceptor(call, request, () => promise);
    mock.timers.tick(2 ** 31 - 2);
    assert.equal(call.signal.aborted, false);
    resolve('done');
    assert.equal(await answer, 'done');
  });

  it('answers at once when the caller goes away', async () => {
    const call = new TestCall();
    const answer = interceptor(call, request, never);
    call.abort(new Cancelled());
    await assert.rejects(answer, Cancelled);
  });

  it('forgets a handler that fails after the answer', async () => {
    const call = new TestCall();
    const { promise, reject } = Promise.withResolvers<string>();
    const answer = interceptor(call, request, () => promise);
    call.abort(new Cancelled());
    await assert.rejects(answer, Cancelled);
    reject(new Error('too late'));
  });

  it('leaves no timer behind', async () => {
    const call = new TestCall();
    await interceptor(call, request, async () => 'done');
    mock.timers.tick(60_000);
    assert.equal(call.signal.aborted, false);
  });
});
