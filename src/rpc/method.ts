import type { DescMethodUnary, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';

/** What one call carries beside its request, whichever port it came in by. */
export interface CallContext {
  readonly method: DescMethodUnary;
  /** The full name, as `platen.v1.RenderService/Render`. */
  readonly rpc: string;
  readonly transport: 'grpc' | 'connect';
  /** A header of the request by lower-case name; undefined: not sent, or binary. */
  header(name: string): string | undefined;
  /** Sets a header of the answer. */
  setResponseHeader(name: string, value: string): void;
  /** The address of the peer, for logs. */
  readonly peer: string;
  /** When the answer is of no more use, in milliseconds since the epoch; undefined: the caller set no deadline. */
  readonly deadline: number | undefined;
  /** Aborts when the caller goes away (reason: Cancelled) or the deadline passes (reason: DeadlineExceeded). */
  readonly signal: AbortSignal;
  /** Identifies the call in logs; set by the request id interceptor. */
  callId: string;
  /** The W3C trace id, empty if the call is not traced; set by the tracing interceptor. */
  traceId: string;
  /** Who calls; set by the authentication interceptor. */
  caller: string;
}

/** Answers one method. What it throws is mapped by `rpc/errors.ts`. */
export type Handler<M extends DescMethodUnary = DescMethodUnary> = (
  context: CallContext,
  request: MessageShape<M['input']>,
) => Promise<MessageInitShape<M['output']>>;

/** A handler for every method of a service. */
export type ServiceHandlers<S extends DescService> = {
  readonly [K in keyof S['method']]: S['method'][K] extends DescMethodUnary ? Handler<S['method'][K]> : never;
};

/** A service with its handlers. */
export interface ServedService {
  readonly service: DescService;
  readonly handlers: ReadonlyMap<DescMethodUnary, Handler>;
}

/** Pairs a service with its handlers, typed by the contract. */
export function serve<S extends DescService>(service: S, handlers: ServiceHandlers<S>): ServedService {
  const byMethod = new Map<DescMethodUnary, Handler>();
  for (const method of service.methods) {
    byMethod.set(method as DescMethodUnary, handlers[method.localName as keyof S['method']] as Handler);
  }
  return { service, handlers: byMethod };
}
