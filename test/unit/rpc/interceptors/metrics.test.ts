import assert from 'node:assert/strict';
import { type DescMethodUnary, create } from '@bufbuild/protobuf';
import { RenderRequestSchema, RenderService } from '../../../../gen/platen/v1/render_service_pb.js';
import { TenantService } from '../../../../gen/platen/v1/tenant_service_pb.js';
import { NotFound } from '../../../../src/domain/errors.ts';
import { Drain } from '../../../../src/rpc/drain.ts';
import { StatusError, statusOf } from '../../../../src/rpc/errors.ts';
import { metrics as metricsInterceptor } from '../../../../src/rpc/interceptors/metrics.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { memoryLogger } from '../../../support/rpc-server.ts';
import { TestCall } from '../../../support/test-call.ts';

describe('Calls are counted', () => {
  const metrics = new Metrics();
  const { logger } = memoryLogger();

  async function call(method: DescMethodUnary, fails: boolean): Promise<void> {
    const cause = new NotFound('bundle', 'x');
    const handle = async () => {
      if (fails) throw new StatusError(statusOf(cause, logger), cause);
    };
    const interceptor = metricsInterceptor(method, { logger, metrics, drain: new Drain(), connectionAgeMs: 0 });
    const request = { message: create(RenderRequestSchema) };
    await interceptor(new TestCall({ method }), request, handle).catch(() => {});
  }

  it('by RPC and status code, and failed renders by code', async () => {
    await call(RenderService.method.render, false);
    await call(RenderService.method.render, false);
    await call(RenderService.method.render, true);
    await call(TenantService.method.getTenant, true);
    const text = await metrics.registry.metrics();
    const counted = text.split('\n').filter((line) => /^(platen_rpc_seconds_count|render_errors_total)\{/.test(line));
    assert.deepEqual(counted.toSorted(), [
      'platen_rpc_seconds_count{rpc="platen.v1.RenderService/Render",code="NOT_FOUND"} 1',
      'platen_rpc_seconds_count{rpc="platen.v1.RenderService/Render",code="OK"} 2',
      'platen_rpc_seconds_count{rpc="platen.v1.TenantService/GetTenant",code="NOT_FOUND"} 1',
      'render_errors_total{code="NOT_FOUND"} 1',
    ]);
  });
});
