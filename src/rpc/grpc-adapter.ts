import { Buffer } from 'node:buffer';
import {
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type Message,
  create,
  fromBinary,
  toBinary,
} from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import {
  Metadata,
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { StatusSchema } from '../../gen/google/rpc/status_pb.js';
import { Cancelled, DeadlineExceeded } from '../domain/errors.ts';
import { Call, type CallRequest, rpcName } from './call.ts';
import { type Status, type StatusError, UnreadableRequest } from './errors.ts';
import { compileFieldCount } from './field-count.ts';
import { composeChain } from './interceptor-chain.ts';
import type { InterceptorParts, Next } from './interceptor.ts';
import { DECODE_OPTIONS, MAX_HEADER_BYTES, MAX_REQUEST_BYTES } from './limits.ts';
import type { Handler, ServedMethod, ServedService, StreamHandler } from './method.ts';
import { handleAndSend } from './stream.ts';

type UnaryWireCall = ServerUnaryCall<Buffer, Buffer>;
type StreamWireCall = ServerWritableStream<Buffer, Buffer>;

const STATUS_DETAILS = 'grpc-status-details-bin';
/** A half-open connection is noticed after a minute; pings of clients are answered however frequent they are. */
const KEEPALIVE_MS = 40_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;
/**
 * Cancelled calls on one connection before Node takes them for a "rapid reset" attack and ends it: so many at once,
 * and so many a second. Node's own 1,000 and 33 are a busy orchestrator's ordinary day, and ending the connection fails
 * its other calls with INTERNAL.
 */
const RESET_BURST = 100_000;
const RESETS_PER_SECOND = 10_000;

/** Makes a gRPC server that serves the services; it is not bound to an address yet. */
export function createGrpcServer(services: readonly ServedService[], parts: InterceptorParts): Server {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.enable_channelz': 0,
  });
  setHttp2Options(server);
  for (const { handlers, streams } of services) {
    for (const [method, handler] of handlers) {
      server.register(`/${rpcName(method)}`, unaryCall(method, handler, parts), identity, identity, 'unary');
    }
    for (const [method, handler] of streams) {
      server.register(`/${rpcName(method)}`, streamCall(method, handler, parts), identity, identity, 'serverStream');
    }
  }
  return server;
}

/**
 * grpc-js hands these to node:http2 when it binds, and has no options of its own for them; its
 * `grpc.max_metadata_size` bounds nothing on a server.
 */
function setHttp2Options(server: Server): void {
  Object.assign(Reflect.get(server, 'commonServerOptions') as object, {
    streamResetBurst: RESET_BURST,
    streamResetRate: RESETS_PER_SECOND,
    settings: { maxHeaderListSize: MAX_HEADER_BYTES },
  });
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

function unaryCall(method: DescMethodUnary, handler: Handler, parts: InterceptorParts) {
  const rpc = rpcName(method);
  const run = composeChain(method, parts, handleAndEncode(method, handler));
  const decode = compileDecoder(method.input);
  return (wireCall: UnaryWireCall, callback: sendUnaryData<Buffer>): void => {
    const call = new GrpcCall(method, rpc, wireCall);
    run(call, new GrpcRequest(decode, wireCall.request)).then(
      (answer) => {
        call.end();
        call.sendHeaders();
        callback(null, answer);
      },
      (error: StatusError) => {
        call.end();
        call.sendHeaders();
        callback(wireStatus(error.status));
      },
    );
  };
}

/** Encoding is part of the chain, so that an answer which cannot be encoded becomes INTERNAL there. */
function handleAndEncode({ output }: DescMethodUnary, handler: Handler): Next<Buffer> {
  return async (call, request) => encode(output, create(output, await handler(call, request.message)));
}

function streamCall(method: DescMethodServerStreaming, handler: StreamHandler, parts: InterceptorParts) {
  const rpc = rpcName(method);
  const { input, output } = method;
  const send = handleAndSend(method, handler, (call, message) =>
    (call as GrpcStreamCall).write(encode(output, message)),
  );
  const run = composeChain(method, parts, send);
  const decode = compileDecoder(input);
  return (wireCall: StreamWireCall): void => {
    const call = new GrpcStreamCall(method, rpc, wireCall);
    run(call, new GrpcRequest(decode, wireCall.request)).then(
      () => {
        call.end();
        call.sendHeaders();
        wireCall.end();
      },
      (error: StatusError) => {
        call.end();
        call.sendHeaders();
        wireCall.emit('error', wireStatus(error.status));
      },
    );
  };
}

function encode(desc: DescMessage, message: Message): Buffer {
  const bytes = toBinary(desc, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function wireStatus({ code, message, details }: Status) {
  const packed = details.map((detail) => anyPack(detail.desc, detail.message));
  const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details: packed }));
  const metadata = new Metadata();
  metadata.set(STATUS_DETAILS, Buffer.from(bytes));
  return { code: code as number, details: message, metadata };
}

class GrpcCall extends Call {
  readonly transport = 'grpc';
  readonly peer: string;
  readonly #wireCall: UnaryWireCall | StreamWireCall;
  #sentHeaders = false;

  constructor(method: ServedMethod, rpc: string, wireCall: UnaryWireCall | StreamWireCall) {
    const deadline = Number(wireCall.getDeadline());
    super(method, rpc, Number.isFinite(deadline) ? deadline : undefined);
    this.#wireCall = wireCall;
    // Read now: a stream that is closed has no peer any more.
    this.peer = wireCall.getPeer();
    // Emitted after the answer too, and after grpc-js has answered DEADLINE_EXCEEDED on its own.
    wireCall.once('cancelled', () => {
      this.abort(Date.now() >= deadline ? new DeadlineExceeded() : new Cancelled());
    });
  }

  header(name: string): string | undefined {
    const [value] = this.#wireCall.metadata.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  /** Sends the headers of the answer, before anything else of it. */
  sendHeaders(): void {
    if (this.#sentHeaders) return;
    this.#sentHeaders = true;
    const metadata = new Metadata();
    for (const [name, value] of this.responseHeaders) metadata.set(name, value);
    this.#wireCall.sendMetadata(metadata);
  }
}

class GrpcStreamCall extends GrpcCall {
  readonly #stream: StreamWireCall;

  constructor(method: ServedMethod, rpc: string, wireCall: StreamWireCall) {
    super(method, rpc, wireCall);
    this.#stream = wireCall;
  }

  /** Resolves once the message is on its way, for which the peer's window has to open. It may never do so. */
  write(message: Buffer): Promise<void> {
    this.sendHeaders();
    return new Promise((resolve) => this.#stream.write(message, () => resolve()));
  }
}

type Decoder = (bytes: Uint8Array) => Message;

/** @returns throws MalformedRequest, and InvalidInput if there is too much to decode */
function compileDecoder(desc: DescMessage): Decoder {
  const countFields = compileFieldCount(desc);
  return (bytes) => {
    countFields(bytes);
    try {
      return fromBinary(desc, bytes, DECODE_OPTIONS);
    } catch (error) {
      throw new UnreadableRequest((error as Error).message);
    }
  };
}

class GrpcRequest implements CallRequest {
  readonly #decode: Decoder;
  readonly #bytes: Uint8Array;
  #message: Message | undefined;

  constructor(decode: Decoder, bytes: Uint8Array) {
    this.#decode = decode;
    this.#bytes = bytes;
  }

  get message(): Message {
    this.#message ??= this.#decode(this.#bytes);
    return this.#message;
  }
}
