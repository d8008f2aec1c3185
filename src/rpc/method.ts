import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';

/** The methods that are served: one request with one answer or a stream of them, or many requests with one each. */
export type ServedMethod = DescMethodUnary | DescMethodServerStreaming | DescMethodBiDiStreaming;

/** What one call carries beside its request, whichever port it came in by. */
export interface CallContext {
  readonly method: ServedMethod;
  /** The full name, as `platen.v1.RenderService/Render`. */
  readonly rpc: string;
  readonly transport: 'grpc' | 'connect';
  /** A header of the request by lower-case name; undefined: not sent, or binary. */
  header(name: string): string | undefined;
  /** Sets a header of the answer; of a stream before its first message. */
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

/** Sends one message of a stream. Resolves once more may be sent; rejects with the reason if the call is over. */
export type Send<O extends DescMessage = DescMessage> = (message: MessageInitShape<O>) => Promise<void>;

/** Answers one method with a stream: sends its messages, and resolves after the last. */
export type StreamHandler<M extends DescMethodServerStreaming = DescMethodServerStreaming> = (
  context: CallContext,
  request: MessageShape<M['input']>,
  send: Send<M['output']>,
) => Promise<void>;

/**
 * Answers one request of many on a stream. Others are under way at the same time, and answers leave as they are done,
 * so each has to say which request it is for. What it throws ends the stream: what is wrong with one request belongs
 * into its answer.
 */
export type ExchangeHandler<M extends DescMethodBiDiStreaming = DescMethodBiDiStreaming> = (
  context: CallContext,
  request: MessageShape<M['input']>,
) => Promise<MessageInitShape<M['output']>>;

/** A handler for every method of a service. */
export type ServiceHandlers<S extends DescService> = {
  readonly [K in keyof S['method']]: S['method'][K] extends DescMethodUnary
    ? Handler<S['method'][K]>
    : S['method'][K] extends DescMethodServerStreaming
      ? StreamHandler<S['method'][K]>
      : S['method'][K] extends DescMethodBiDiStreaming
        ? ExchangeHandler<S['method'][K]>
        : never;
};

/** A service with its handlers. */
export interface ServedService {
  readonly service: DescService;
  readonly handlers: ReadonlyMap<DescMethodUnary, Handler>;
  readonly streams: ReadonlyMap<DescMethodServerStreaming, StreamHandler>;
  /** Served over gRPC only: the other protocols have no such streams over HTTP/1.1. */
  readonly exchanges: ReadonlyMap<DescMethodBiDiStreaming, ExchangeHandler>;
}

/** Pairs a service with its handlers, typed by the contract. */
export function serve<S extends DescService>(service: S, handlers: ServiceHandlers<S>): ServedService {
  const unary = new Map<DescMethodUnary, Handler>();
  const streams = new Map<DescMethodServerStreaming, StreamHandler>();
  const exchanges = new Map<DescMethodBiDiStreaming, ExchangeHandler>();
  for (const method of service.methods) {
    const handler: unknown = handlers[method.localName as keyof S['method']];
    if (method.methodKind === 'unary') {
      unary.set(method as DescMethodUnary, handler as Handler);
    } else if (method.methodKind === 'server_streaming') {
      streams.set(method as DescMethodServerStreaming, handler as StreamHandler);
    } else {
      exchanges.set(method as DescMethodBiDiStreaming, handler as ExchangeHandler);
    }
  }
  return { service, handlers: unary, streams, exchanges };
}
