import { SpanKind, SpanStatusCode, context, isValidTraceId, trace } from '@opentelemetry/api';
import { remoteContext, tracer } from '../../telemetry/tracing.ts';
import { outcomeOf } from '../errors.ts';
import type { InterceptorFactory } from '../interceptor.ts';

/** Runs the call in a span under the caller's (W3C traceparent), and notes the trace id on it. */
export const tracing: InterceptorFactory = (method) => {
  const name = `${method.parent.typeName}/${method.name}`;
  const attributes = { 'rpc.system': 'grpc', 'rpc.service': method.parent.typeName, 'rpc.method': method.name };
  return async (call, request, next) => {
    const parent = remoteContext(call.header('traceparent'), call.header('tracestate'));
    const span = tracer().startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
    const { traceId } = span.spanContext();
    call.traceId = isValidTraceId(traceId) ? traceId : '';
    try {
      return await context.with(trace.setSpan(parent, span), next, undefined, call, request);
    } catch (error) {
      const { code, name: codeName } = outcomeOf(error);
      span.setAttribute('rpc.grpc.status_code', code);
      span.setStatus({ code: SpanStatusCode.ERROR, message: codeName });
      throw error;
    } finally {
      span.end();
    }
  };
};
