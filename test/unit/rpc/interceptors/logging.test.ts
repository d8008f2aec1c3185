import assert from 'node:assert/strict';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { RenderService } from '../../../../gen/platen/v1/render_service_pb.js';
import { TenantService } from '../../../../gen/platen/v1/tenant_service_pb.js';
import { DeadlineExceeded, type DomainError, NotFound, Unavailable } from '../../../../src/domain/errors.ts';
import { Drain } from '../../../../src/rpc/drain.ts';
import { OK, StatusError, outcomeOf, statusOf } from '../../../../src/rpc/errors.ts';
import { logging } from '../../../../src/rpc/interceptors/logging.ts';
import type { LogLevel } from '../../../../src/telemetry/logger.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { memoryLogger } from '../../../support/rpc-server.ts';
import { TestCall } from '../../../support/test-call.ts';

describe('One line is logged for each call', () => {
  /** The line of a call that ends like this. */
  function lineOf(method: DescMethodUnary, error?: DomainError | TypeError, level: LogLevel = 'debug') {
    const { logger, lines } = memoryLogger(level);
    const parts = { logger, metrics: new Metrics(), drain: new Drain(), connectionAgeMs: 0 };
    const call = Object.assign(new TestCall({ method }), { callId: 'c', traceId: 't', caller: 'jo' });
    const outcome = error ? outcomeOf(new StatusError(statusOf(error, memoryLogger().logger), error)) : OK;
    logging(method, parts)(call, outcome, 0.0012345);
    assert.ok(lines.length <= 1);
    return lines[0];
  }

  it('says what was called, by whom and how it ended', () => {
    const { time, duration_ms, ...line } = lineOf(TenantService.method.createTenant) ?? {};
    assert.match(time as string, /^\d{4}-\d\d-\d\dT/);
    assert.equal(duration_ms, 1.235);
    assert.deepEqual(line, {
      level: 'info',
      msg: 'call',
      call_id: 'c',
      rpc: 'platen.v1.TenantService/CreateTenant',
      code: 'OK',
      caller: 'jo',
      trace_id: 't',
      peer: '127.0.0.1:1',
      transport: 'grpc',
    });
  });

  const LEVELS: [what: string, method: DescMethodUnary, error: DomainError | TypeError | undefined, level: string][] = [
    ['a read', TenantService.method.getTenant, undefined, 'debug'],
    ['a render', RenderService.method.render, undefined, 'debug'],
    ['a write', TenantService.method.updateTenant, undefined, 'info'],
    ["a caller's failure", RenderService.method.render, new NotFound('bundle', 'x'), 'info'],
    ['a deadline', RenderService.method.render, new DeadlineExceeded(), 'warn'],
    ['an outage', RenderService.method.render, new Unavailable('DATABASE_UNAVAILABLE', 'away', 1), 'warn'],
    ['a defect', RenderService.method.render, new TypeError('x'), 'error'],
  ];
  for (const [what, method, error, level] of LEVELS) {
    it(`logs ${what} at ${level}`, () => assert.equal(lineOf(method, error)?.['level'], level));
  }

  it('names the reason of a failure', () => {
    const line = lineOf(RenderService.method.render, new NotFound('bundle', 'x'));
    assert.deepEqual([line?.['code'], line?.['reason']], ['NOT_FOUND', 'RESOURCE_NOT_FOUND']);
  });

  it('leaves out what the level leaves out', () => {
    assert.equal(lineOf(RenderService.method.render, undefined, 'info'), undefined);
  });
});
