import { type Context, type Span, SpanKind, SpanStatusCode, context, isValidTraceId, trace } from '@opentelemetry/api';
import { isRecorded, remoteContext, tracer } from '../../telemetry/tracing.ts';
import { outcomeOf } from '../errors.ts';
import type { InterceptorFactory } from '../interceptor.ts';

/**
 * Runs the call in a span under the caller's (W3C traceparent), and notes the trace id on it. A call that neither its
 * caller nor an SDK traces has none, and pays for none.
 */
export const tracing: InterceptorFactory = (method) => {
  const name = `${method.parent.typeName}/${method.name}`;
  const attributes = { 'rpc.system': 'grpc', 'rpc.service': method.parent.typeName, 'rpc.method': method.name };
  const options = { kind: SpanKind.SERVER, attributes };
  return (call, request, next) => {
    const traceparent = call.header('traceparent');
    if (traceparent === undefined && !isRecorded()) return next(call, request);
    const parent = remoteContext(traceparent, call.header('tracestate'));
    const span = tracer().startSpan(name, options, parent);
    const { traceId } = span.spanContext();
    if (!isValidTraceId(traceId)) return next(call, request);
    call.traceId = traceId;
    return inSpan(span, parent, () => next(call, request));
  };
};

async function inSpan<T>(span: Span, parent: Context, run: () => Promise<T>): Promise<T> {
  try {
    return await context.with(trace.setSpan(parent, span), run);
  } catch (error) {
    const { code, name } = outcomeOf(error);
    span.setAttribute('rpc.grpc.status_code', code);
    span.setStatus({ code: SpanStatusCode.ERROR, message: name });
    throw error;
  } finally {
    span.end();
  }
}
