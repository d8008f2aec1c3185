import type { Buffer } from 'node:buffer';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { Code } from '../../gen/google/rpc/code_pb.js';
import { DeadlineExceeded } from '../domain/errors.ts';
import { type CallRequest, rpcName } from './call.ts';
import { codecOf } from './codec.ts';
import type { StatusError } from './errors.ts';
import { type Decoder, GrpcRequest, trailersOf } from './grpc-call.ts';
import { FrameCompressed, FrameReader, FrameTooLong } from './grpc-frames.ts';
import { Http2Call, OK_TRAILERS, type StreamListener, type Trailers, callOf } from './http2-call.ts';
import { composeChain } from './interceptor-chain.ts';
import type { InterceptorParts, Next } from './interceptor.ts';
import { DEFAULT_TIMEOUT_MS, timeLeft } from './interceptors/deadline.ts';
import { MAX_REQUEST_BYTES } from './limits.ts';
import type { Handler } from './method.ts';

/** What every call of one method is served with. */
interface UnaryParts {
  readonly method: DescMethodUnary;
  readonly rpc: string;
  readonly decode: Decoder;
  /** Resolves with the answer in its frame. @throws StatusError */
  readonly run: Next<Buffer>;
}

/** Serves a method with one request and one answer, on the streams of plain calls. */
export function http2Unary(method: DescMethodUnary, handler: Handler, parts: InterceptorParts): StreamListener {
  const { decode, encodeFrame } = codecOf(method);
  // Encoding is part of the chain, so that an answer which cannot be encoded becomes INTERNAL there.
  const run = composeChain(method, parts, async (call, request) => encodeFrame(await handler(call, request.message)));
  const unaryParts = { method, rpc: rpcName(method), decode, run };
  return (stream, headers) => void new UnaryCall(unaryParts, stream, headers);
}

/** Takes the place of a request that was not complete at the deadline of its call. */
const TOO_LATE: CallRequest = {
  get message(): never {
    throw new DeadlineExceeded();
  },
};

/** Answers itself once its request is there, or its deadline passes. */
class UnaryCall extends Http2Call {
  override readonly keepsDeadline = true;
  readonly #parts: UnaryParts;
  readonly #timer: NodeJS.Timeout;
  readonly #frames = new FrameReader(MAX_REQUEST_BYTES);
  #message: Buffer | undefined;
  #begun = false;

  constructor(parts: UnaryParts, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    super(parts.method, parts.rpc, stream, headers);
    this.#parts = parts;
    this.#timer = setTimeout(UnaryCall.#expire, timeLeft(this, DEFAULT_TIMEOUT_MS), this);
    this.onAbort(() => clearTimeout(this.#timer));
    stream.on('data', UnaryCall.#onData).on('end', UnaryCall.#onEnd);
  }

  static #onData(this: ServerHttp2Stream, chunk: Buffer): void {
    const call = callOf(this);
    if (call instanceof UnaryCall) call.#receive(chunk);
  }

  static #onEnd(this: ServerHttp2Stream): void {
    const call = callOf(this);
    if (call instanceof UnaryCall) call.#answer();
  }

  static #expire(call: UnaryCall): void {
    if (call.#begun) call.abort(new DeadlineExceeded());
    else call.#run(TOO_LATE);
  }

  override finish(trailers: Trailers, frame?: Buffer): void {
    clearTimeout(this.#timer);
    super.finish(trailers, frame);
  }

  #receive(chunk: Buffer): void {
    if (this.ended) return;
    try {
      for (const message of this.#frames.read(chunk)) {
        if (this.#message !== undefined) throw new Error('Received a second request message for a unary method');
        this.#message = message;
      }
    } catch (error) {
      this.finish(refusal(error as Error));
    }
  }

  /** Nothing more will be received. */
  #answer(): void {
    if (this.ended || this.#begun) return;
    if (this.#message === undefined) {
      this.finish(refusal(new Error('Received no request message for a unary method')));
      return;
    }
    this.#run(new GrpcRequest(this.#parts.decode, this.#message));
  }

  #run(request: CallRequest): void {
    this.#begun = true;
    this.#parts.run(this, request).then(
      (frame) => this.finish(OK_TRAILERS, frame),
      (error: StatusError) => this.finish(trailersOf(error.status)),
    );
  }
}

/** The answer to what is no request: as grpc-js gives it, and as gRPC demands of a compressed message. */
function refusal(error: Error): Trailers {
  return { 'grpc-status': refusalCode(error), 'grpc-message': encodeURI(error.message) };
}

function refusalCode(error: Error): Code {
  if (error instanceof FrameTooLong) return Code.RESOURCE_EXHAUSTED;
  return error instanceof FrameCompressed ? Code.INTERNAL : Code.UNIMPLEMENTED;
}
