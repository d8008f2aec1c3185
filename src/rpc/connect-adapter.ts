import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import {
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type Message,
  create,
  createRegistry,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type HandlerContext,
  createConnectRouter,
  createContextKey,
  createContextValues,
} from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from '@connectrpc/connect-node';
import { file_google_rpc_error_details } from '../../gen/google/rpc/error_details_pb.js';
import { Cancelled, DeadlineExceeded, DomainError } from '../domain/errors.ts';
import { Call, type CallRequest, rpcName } from './call.ts';
import { type BytesCheck, checkQuery, checkedCompression, checkedRequest, speaksJson } from './connect-body.ts';
import { type Status, type StatusError, UnreadableRequest } from './errors.ts';
import { compileFieldCount, countJsonFields } from './field-count.ts';
import { composeChain } from './interceptor-chain.ts';
import type { InterceptorParts, Next } from './interceptor.ts';
import { DECODE_OPTIONS, MAX_REQUEST_BYTES } from './limits.ts';
import type { Handler, ServedMethod, ServedService, StreamHandler } from './method.ts';
import { handleAndSend } from './stream.ts';

/** Connect's codes for what it cannot read: JSON or protocol headers, and protobuf bytes. */
const UNREADABLE: ReadonlySet<Code> = new Set([Code.InvalidArgument, Code.Internal]);
/** The longest delay that Node's timers take; connect starts one for the caller's timeout. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Names what the details of an outcome's error are made of: in JSON they are written by their type. */
const JSON_OPTIONS = { registry: createRegistry(file_google_rpc_error_details) };

/** What belongs to one HTTP request and its answer; it reaches gate and implementation as a context value. */
interface Exchange {
  readonly peer: string;
  /** Set by the gate. Without it the request has no protocol that is served here. */
  context?: HandlerContext;
  /** Set when the interceptor chain begins. */
  call?: ConnectCall;
  /** The answer, if it is an error of ours. */
  error?: ConnectError;
}

const EXCHANGE = createContextKey<Exchange>({ peer: '' });

/** Connect's protocols around our chain, for one codec. */
interface Endpoint {
  readonly handler: UniversalHandler;
  readonly check: BytesCheck;
}

/** One procedure. */
interface Procedure {
  readonly binary: Endpoint;
  readonly json: Endpoint;
  readonly method: ServedMethod;
  readonly chain: Next<unknown>;
}

/**
 * Serves the services in the Connect protocol, GET included where a method has one answer and no side effects, and in
 * gRPC-Web; both with protobuf or JSON.
 * @returns finds the listener of a path; undefined: it is no procedure
 */
export function createConnectListeners(
  services: readonly ServedService[],
  parts: InterceptorParts,
): (path: string) => RequestListener | undefined {
  const listeners = new Map<string, RequestListener>();
  for (const { handlers, streams } of services) {
    const procedures = [
      ...Array.from(handlers, ([method, handler]) => createUnary(method, handler, parts)),
      ...Array.from(streams, ([method, handler]) => createStream(method, handler, parts)),
    ];
    for (const procedure of procedures) {
      listeners.set(procedure.json.handler.requestPath, (request, response) => {
        serve(procedure, request, response).catch(() => response.destroy());
      });
    }
  }
  return (path) => listeners.get(path);
}

function createUnary(method: DescMethodUnary, handle: Handler, parts: InterceptorParts): Procedure {
  const chain = composeChain(method, parts, handleAndCheck(method, handle));
  return createProcedure(method, chain, (router) => {
    router.rpc(method, (message, context) => runChain(chain, new ConnectCall(method, context), context, { message }));
  });
}

function createStream(method: DescMethodServerStreaming, handle: StreamHandler, parts: InterceptorParts): Procedure {
  const send = handleAndSend(method, handle, (call, message) => (call as ConnectStreamCall).write(message));
  const chain = composeChain(method, parts, send);
  return createProcedure(method, chain, (router) => {
    router.rpc(method, (message, context) => runStream(chain, method, context, { message }));
  });
}

function createProcedure(
  method: ServedMethod,
  chain: Next<unknown>,
  implement: (router: ConnectRouter) => void,
): Procedure {
  return {
    binary: createEndpoint(implement, compileFieldCount(method.input)),
    json: createEndpoint(implement, countJsonFields),
    method,
    chain,
  };
}

function createEndpoint(implement: (router: ConnectRouter) => void, check: BytesCheck): Endpoint {
  const router = createConnectRouter({
    grpc: false,
    readMaxBytes: MAX_REQUEST_BYTES,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    acceptCompression: [compressionGzip, compressionBrotli].map((each) => checkedCompression(each, check)),
    jsonOptions: { ...DECODE_OPTIONS, ...JSON_OPTIONS, ignoreUnknownFields: false },
    binaryOptions: DECODE_OPTIONS,
    requestGate: (context) => requestGate(context, check),
  });
  implement(router);
  return { handler: router.handlers[0] as UniversalHandler, check };
}

/** Connect encodes the answer after the chain has ended: one that it cannot encode has to become INTERNAL before. */
function handleAndCheck({ output }: DescMethodUnary, handle: Handler): Next<Message> {
  return async (call, request) => {
    const answer = create(output, await handle(call, request.message));
    (call as ConnectCall).encode(output, answer);
    return answer;
  };
}

/** Connect calls it before it reads a message: in the second pass over a request there is an error to answer with. */
function requestGate(context: HandlerContext, check: BytesCheck): void {
  const exchange = context.values.get(EXCHANGE);
  exchange.context = context;
  if (exchange.error !== undefined) {
    setResponseHeaders(context, exchange.call as ConnectCall);
    throw exchange.error;
  }
  if (context.requestMethod === 'GET') checkQuery(context.url, check);
}

async function runChain<T>(
  chain: Next<T>,
  call: ConnectCall,
  context: HandlerContext,
  request: CallRequest,
): Promise<T> {
  const exchange = context.values.get(EXCHANGE);
  exchange.call = call;
  try {
    return await chain(call, request);
  } catch (error) {
    exchange.error = connectError((error as StatusError).status);
  } finally {
    call.end();
    setResponseHeaders(context, call);
  }
  throw exchange.error;
}

/** The messages of a stream, as they are asked for. The headers of the answer leave with the first of them. */
async function* runStream(
  chain: Next<void>,
  method: DescMethodServerStreaming,
  context: HandlerContext,
  request: CallRequest,
): AsyncGenerator<Message> {
  const { readable, writable } = new TransformStream<Message, Message>();
  const writer = writable.getWriter();
  const call = new ConnectStreamCall(method, context, writer);
  const written = runChain(chain, call, context, request).then(
    () => writer.close(),
    (error: ConnectError) => writer.abort(error),
  );
  // It fails if nobody reads any more.
  written.catch(() => {});
  for await (const message of readable) {
    setResponseHeaders(context, call);
    yield message;
  }
}

async function serve(procedure: Procedure, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { remoteAddress, remotePort } = request.socket;
  const exchange: Exchange = { peer: `${remoteAddress}:${remotePort}` };
  const values = createContextValues().set(EXCHANGE, exchange);
  const universalRequest = universalRequestFromNodeRequest(request, response, undefined, values);
  return universalResponseToNodeResponse(await answer(procedure, universalRequest, exchange), response);
}

/**
 * Connect decodes before it calls us, and answers what it cannot decode by itself: without our details, log and
 * metrics, and malformed protobuf as INTERNAL. Such a request goes through our chain as one whose message cannot be
 * read, and then once more through connect, which puts the resulting error into the caller's protocol. So does one that
 * our check refused.
 */
async function answer(
  { binary, json, method, chain }: Procedure,
  request: UniversalServerRequest,
  exchange: Exchange,
): Promise<UniversalServerResponse> {
  const isJson = speaksJson(request.method, request.url, request.header.get('content-type'));
  const { handler, check } = isJson ? json : binary;
  const response = await handler(checkedRequest(request, check));
  const { context, call } = exchange;
  if (context === undefined || call !== undefined) return response;
  // The gate was passed and the chain was not reached: connect aborts the signal with what is in between.
  const refusal = refusalOf(context.signal.reason);
  if (refusal === undefined) return response;
  await runChain(chain, new ConnectCall(method, context), context, new UnreadableMessage(refusal)).catch(() => {});
  return handler(bodiless(request));
}

/** Why a message was not read; undefined: that is for connect to say. */
function refusalOf(reason: unknown): DomainError | undefined {
  if (reason instanceof DomainError) return reason;
  const failure = ConnectError.from(reason, Code.InvalidArgument);
  return UNREADABLE.has(failure.code) ? new UnreadableRequest(failure.rawMessage) : undefined;
}

/** A request that leads connect to the gate in the same protocol. An error of a GET is answered like that of a POST. */
function bodiless(request: UniversalServerRequest): UniversalServerRequest {
  const contentType = request.header.get('content-type') ?? 'application/json';
  return { ...request, method: 'POST', header: new Headers({ 'content-type': contentType }), body: noBytes() };
}

async function* noBytes(): AsyncGenerator<Uint8Array> {}

function setResponseHeaders(context: HandlerContext, { responseHeaders }: Call): void {
  for (const [name, value] of responseHeaders) context.responseHeader.set(name, value);
}

function connectError({ code, message, details }: Status): ConnectError {
  const outgoing = details.map((detail) => ({ desc: detail.desc, value: detail.message }));
  return new ConnectError(message, code as number, undefined, outgoing);
}

class UnreadableMessage implements CallRequest {
  readonly #refusal: DomainError;

  constructor(refusal: DomainError) {
    this.#refusal = refusal;
  }

  get message(): never {
    throw this.#refusal;
  }
}

class ConnectCall extends Call {
  readonly transport = 'connect';
  readonly peer: string;
  readonly #speaksJson: boolean;
  readonly #headers: Headers;

  constructor(method: ServedMethod, context: HandlerContext) {
    const timeLeft = context.timeoutMs();
    super(method, rpcName(method), timeLeft === undefined ? undefined : Date.now() + timeLeft);
    this.peer = context.values.get(EXCHANGE).peer;
    this.#headers = context.requestHeader;
    this.#speaksJson = speaksJson(context.requestMethod, context.url, context.requestHeader.get('content-type'));
    const { signal } = context;
    signal.addEventListener('abort', () => {
      const { code } = ConnectError.from(signal.reason);
      this.abort(code === Code.DeadlineExceeded ? new DeadlineExceeded() : new Cancelled());
    });
  }

  header(name: string): string | undefined {
    return this.#headers.get(name) ?? undefined;
  }

  /** Encodes a message as connect will. */
  encode(desc: DescMessage, message: Message): void {
    if (this.#speaksJson) toJson(desc, message, JSON_OPTIONS);
    else toBinary(desc, message);
  }
}

class ConnectStreamCall extends ConnectCall {
  readonly #writer: WritableStreamDefaultWriter<Message>;

  constructor(
    method: DescMethodServerStreaming,
    context: HandlerContext,
    writer: WritableStreamDefaultWriter<Message>,
  ) {
    super(method, context);
    this.#writer = writer;
  }

  /** Resolves once connect has asked for the message, which it does when what it had before is on its way. */
  async write(message: Message): Promise<void> {
    this.encode(this.method.output, message);
    await this.#writer.write(message);
  }
}
