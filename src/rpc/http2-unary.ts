import type { Buffer } from 'node:buffer';
import type { DescMethodUnary } from '@bufbuild/protobuf';
import { Code } from '../../gen/google/rpc/code_pb.js';
import { rpcName } from './call.ts';
import { codecOf } from './codec.ts';
import type { StatusError } from './errors.ts';
import { GrpcRequest, trailersOf } from './grpc-call.ts';
import { FrameCompressed, FrameReader, FrameTooLong } from './grpc-frames.ts';
import { Http2Call, OK_TRAILERS, type StreamListener, type Trailers } from './http2-call.ts';
import { composeChain } from './interceptor-chain.ts';
import type { InterceptorParts } from './interceptor.ts';
import { MAX_REQUEST_BYTES } from './limits.ts';
import type { Handler } from './method.ts';

/** Serves a method with one request and one answer, on the streams of plain calls. */
export function http2Unary(method: DescMethodUnary, handler: Handler, parts: InterceptorParts): StreamListener {
  const rpc = rpcName(method);
  const { decode, encodeFrame } = codecOf(method);
  // Encoding is part of the chain, so that an answer which cannot be encoded becomes INTERNAL there.
  const run = composeChain(method, parts, async (call, request) => encodeFrame(await handler(call, request.message)));
  return (stream, headers) => {
    const call = new Http2Call(method, rpc, stream, headers);
    const frames = new FrameReader(MAX_REQUEST_BYTES);
    let message: Buffer | undefined;
    stream.on('data', (chunk: Buffer) => {
      if (call.ended) return;
      try {
        for (const read of frames.read(chunk)) {
          if (message !== undefined) throw new Error('Received a second request message for a unary method');
          message = read;
        }
      } catch (error) {
        call.finish(refusal(error as Error));
      }
    });
    stream.on('end', () => {
      if (call.ended) return;
      if (message === undefined) {
        call.finish(refusal(new Error('Received no request message for a unary method')));
        return;
      }
      run(call, new GrpcRequest(decode, message)).then(
        (frame) => call.finish(OK_TRAILERS, frame),
        (error: StatusError) => call.finish(trailersOf(error.status)),
      );
    });
  };
}

/** The answer to what is no request: as grpc-js gives it, and as gRPC demands of a compressed message. */
function refusal(error: Error): Trailers {
  return { 'grpc-status': refusalCode(error), 'grpc-message': encodeURI(error.message) };
}

function refusalCode(error: Error): Code {
  if (error instanceof FrameTooLong) return Code.RESOURCE_EXHAUSTED;
  return error instanceof FrameCompressed ? Code.INTERNAL : Code.UNIMPLEMENTED;
}
