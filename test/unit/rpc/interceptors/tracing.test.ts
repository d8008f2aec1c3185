import assert from 'node:assert/strict';
import {
  type Attributes,
  type Context,
  type Span,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { create } from '@bufbuild/protobuf';
import { RenderRequestSchema } from '../../../../gen/platen/v1/render_service_pb.js';
import { NotFound } from '../../../../src/domain/errors.ts';
import { Drain } from '../../../../src/rpc/drain.ts';
import { StatusError, statusOf } from '../../../../src/rpc/errors.ts';
import { tracing } from '../../../../src/rpc/interceptors/tracing.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { memoryLogger } from '../../../support/rpc-server.ts';
import { TestCall } from '../../../support/test-call.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${TRACE_ID}-00f067aa0ba902b7-01`;

interface Recorded {
  name: string;
  kind: number | undefined;
  attributes: Attributes;
  parentTraceId: string | undefined;
  status?: { code: number; message?: string };
  ended: boolean;
}

/** An SDK as far as this needs one: it takes over the parent's trace id, else it begins a trace. */
function recordingTracer(spans: Recorded[]): Tracer {
  const startSpan = (name: string, options: SpanOptions = {}, context?: Context): Span => {
    const parentTraceId = context && trace.getSpanContext(context)?.traceId;
    const attributes = { ...options.attributes };
    const span: Recorded = { name, kind: options.kind, attributes, parentTraceId, ended: false };
    spans.push(span);
    const recorder: Partial<Span> = {
      spanContext: () => ({ traceId: parentTraceId ?? 'f'.repeat(32), spanId: '1'.repeat(16), traceFlags: 1 }),
      setAttribute: (key, value) => {
        span.attributes[key] = value;
        return recorder as Span;
      },
      setStatus: (status) => {
        span.status = status;
        return recorder as Span;
      },
      end: () => void (span.ended = true),
    };
    return recorder as Span;
  };
  return { startSpan } as Tracer;
}

describe('Calls are traced', () => {
  const { logger } = memoryLogger();
  const parts = { logger, metrics: new Metrics(), drain: new Drain(), connectionAgeMs: 0 };
  const request = { message: create(RenderRequestSchema) };
  const spans: Recorded[] = [];

  beforeEach(() => void (spans.length = 0));
  afterEach(() => trace.disable());

  function run(headers: Record<string, string>, handle: () => Promise<string>) {
    const call = new TestCall({ headers });
    return { call, answer: tracing(call.method, parts)(call, request, handle) };
  }

  it('takes over the trace id of the caller where no SDK is registered', async () => {
    const { call, answer } = run({ traceparent }, async () => 'done');
    assert.equal(await answer, 'done');
    assert.equal(call.traceId, TRACE_ID);
  });

  it('has no trace id where neither the caller nor an SDK has one', async () => {
    const { call, answer } = run({}, async () => 'done');
    await answer;
    assert.equal(call.traceId, '');
  });

  it('records a span under the span of the caller', async () => {
    trace.setGlobalTracerProvider({ getTracer: () => recordingTracer(spans) });
    const { call, answer } = run({ traceparent, tracestate: 'vendor=1' }, async () => 'done');
    await answer;
    assert.equal(call.traceId, TRACE_ID);
    assert.deepEqual(spans, [
      {
        name: 'platen.v1.RenderService/Render',
        kind: 1,
        attributes: { 'rpc.system': 'grpc', 'rpc.service': 'platen.v1.RenderService', 'rpc.method': 'Render' },
        parentTraceId: TRACE_ID,
        ended: true,
      },
    ]);
  });

  it('begins a trace where the caller has none', async () => {
    trace.setGlobalTracerProvider({ getTracer: () => recordingTracer(spans) });
    const { call, answer } = run({}, async () => 'done');
    await answer;
    assert.equal(call.traceId, 'f'.repeat(32));
  });

  it('records how the call failed', async () => {
    trace.setGlobalTracerProvider({ getTracer: () => recordingTracer(spans) });
    const cause = new NotFound('tenant', 'x');
    const error = new StatusError(statusOf(cause, logger), cause);
    await assert.rejects(run({}, () => Promise.reject(error)).answer, error);
    assert.equal(spans[0]?.attributes['rpc.grpc.status_code'], 5);
    assert.deepEqual(spans[0]?.status, { code: SpanStatusCode.ERROR, message: 'NOT_FOUND' });
    assert.equal(spans[0]?.ended, true);
  });
});
