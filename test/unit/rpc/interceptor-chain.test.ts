import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { RenderRequestSchema, RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { Drain } from '../../../src/rpc/drain.ts';
import { Cancelled } from '../../../src/domain/errors.ts';
import { StatusError } from '../../../src/rpc/errors.ts';
import { INTERCEPTORS, composeChain } from '../../../src/rpc/interceptor-chain.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { TestCall } from '../../support/test-call.ts';
import { memoryLogger } from '../../support/rpc-server.ts';

describe('Interceptors run in one order', () => {
  it('which is this one, for these reasons', () => {
    assert.deepEqual(INTERCEPTORS.map(({ name, why }) => [name, why]), [
      ['request id', 'whatever happens to the call can be found by its id'],
      ['tracing', 'the span covers all of the work, and logs carry the trace id'],
      [
        'error mapping',
        'all that is thrown further in becomes a status; logs and metrics are told that of every call, refused or not',
      ],
      ['draining', 'a call that comes too late costs nothing'],
      ['deadline', 'bounds everything that may wait'],
      ['authentication', 'nobody learns from the violations of a request before saying who they are'],
      ['validation', 'decodes and checks for known callers only, and handlers see checked requests only'],
    ]);
  });

  function setUp() {
    const { logger, lines } = memoryLogger();
    const metrics = new Metrics();
    const drain = new Drain();
    const parts = { logger, metrics, drain, connectionAgeMs: 0 };
    const run = composeChain(RenderService.method.render, parts, async (call) => call.caller);
    return { run, lines, metrics, drain };
  }

  const request = { message: create(RenderRequestSchema) };
  const invalid = { message: create(RenderRequestSchema, { tenant: '\0' }) };

  it('so that the handler sees a call that is named, traced and authenticated', async () => {
    const { run } = setUp();
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const call = new TestCall({ headers: { 'x-request-id': 'r', traceparent } });
    assert.equal(await run(call, request), 'anonymous@loopback');
    assert.deepEqual([call.callId, call.traceId], ['r', '4bf92f3577b34da6a3ce929d0e0e4736']);
  });

  it('so that logs and metrics show the final code', async () => {
    const { run, lines, metrics } = setUp();
    await assert.rejects(run(new TestCall(), invalid), StatusError);
    assert.deepEqual([lines[0]?.['code'], lines[0]?.['caller']], ['INVALID_ARGUMENT', 'anonymous@loopback']);
    assert.match(await metrics.registry.metrics(), /platen_rpc_seconds_count\{[^}]*code="INVALID_ARGUMENT"\} 1\n/);
    assert.match(await metrics.registry.metrics(), /render_errors_total\{code="INVALID_ARGUMENT"\} 1\n/);
  });

  it('so that a draining server refuses before it decodes', async () => {
    const { run, drain, lines } = setUp();
    drain.begin();
    const unread = {
      get message(): never {
        throw new Error('decoded');
      },
    };
    await assert.rejects(run(new TestCall(), unread), (error: StatusError) => error.status.reason === 'DRAINING');
    assert.equal(lines[0]?.['caller'], '');
  });

  it('so that a call that ended before it began is not decoded', async () => {
    const { run } = setUp();
    const call = new TestCall();
    call.abort(new Cancelled());
    await assert.rejects(run(call, invalid), (error: StatusError) => error.status.reason === 'CANCELLED');
  });
});
