import assert from 'node:assert/strict';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { RenderService } from '../../../../gen/platen/v1/render_service_pb.js';
import { TenantService } from '../../../../gen/platen/v1/tenant_service_pb.js';
import { Code } from '../../../../gen/google/rpc/code_pb.js';
import { Drain } from '../../../../src/rpc/drain.ts';
import { OK, type Outcome } from '../../../../src/rpc/errors.ts';
import { metrics as metricsOf } from '../../../../src/rpc/interceptors/metrics.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { memoryLogger } from '../../../support/rpc-server.ts';
import { TestCall } from '../../../support/test-call.ts';

const NOT_FOUND: Outcome = { code: Code.NOT_FOUND, name: 'NOT_FOUND', reason: 'RESOURCE_NOT_FOUND' };

describe('Calls are counted', () => {
  const metrics = new Metrics();
  const { logger } = memoryLogger();

  function call(method: DescMethodUnary, outcome: Outcome): void {
    const parts = { logger, metrics, drain: new Drain(), connectionAgeMs: 0 };
    metricsOf(method, parts)(new TestCall({ method }), outcome, 0.25);
  }

  it('by RPC and status code, and failed renders by code', async () => {
    call(RenderService.method.render, OK);
    call(RenderService.method.render, OK);
    call(RenderService.method.render, NOT_FOUND);
    call(TenantService.method.getTenant, NOT_FOUND);
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
