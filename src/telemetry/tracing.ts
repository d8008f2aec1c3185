import {
  type Context,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Tracer,
  createTraceState,
  isSpanContextValid,
  trace,
} from '@opentelemetry/api';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

type Fields = [version: string, traceId: string, spanId: string, flags: string, rest?: string];

/** The tracer of this program: of the SDK that the process registered, else one that records nothing. */
export function tracer(): Tracer {
  return trace.getTracer('platen');
}

/** Whether the process has registered an SDK that could record spans. */
export function isRecorded(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer('platen') !== undefined;
}

/**
 * The context that a W3C `traceparent` header names (https://www.w3.org/TR/trace-context/), read here and not by the
 * SDK's propagator, so that trace ids reach receipts and changes in a process without an SDK too.
 * A header that is absent or not valid gives the root context.
 */
export function remoteContext(traceparent: string | undefined, tracestate: string | undefined): Context {
  const match = traceparent === undefined ? null : TRACEPARENT.exec(traceparent);
  if (match === null) return ROOT_CONTEXT;
  const [, version, traceId, spanId, flags, rest] = match as unknown as [string, ...Fields];
  // Version ff is invalid; version 00 has nothing after the flags; later versions may.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return ROOT_CONTEXT;
  const spanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
  };
  return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : ROOT_CONTEXT;
}
