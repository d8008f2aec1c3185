import type { Buffer } from 'node:buffer';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { Code } from '../../gen/google/rpc/code_pb.js';
import { rpcName } from './call.ts';
import { codecOf } from './codec.ts';
import type { StatusError } from './errors.ts';
import { type Decoder, GrpcRequest, trailersOf } from './grpc-call.ts';
import { FrameCompressed, FrameReader, FrameTooLong } from './grpc-frames.ts';
import { Http2Call, OK_TRAILERS, type StreamListener, type Trailers, callOf } from './http2-call.ts';
import { composeChain } from './interceptor-chain.ts';
import type { InterceptorParts, Next } from './interceptor.ts';
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

/** Answers itself once its request is there. */
class UnaryCall extends Http2Call {
  readonly #parts: UnaryParts;
  readonly #frames = new FrameReader(MAX_REQUEST_BYTES);
  #message: Buffer | undefined;

  constructor(parts: UnaryParts, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    super(parts.method, parts.rpc, stream, headers);
    this.#parts = parts;
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
    if (this.ended) return;
    if (this.#message === undefined) {
      this.finish(refusal(new Error('Received no request message for a unary method')));
      return;
    }
    const { decode, run } = this.#parts;
    run(this, new GrpcRequest(decode, this.#message)).then(
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
