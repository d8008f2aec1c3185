import type { DescMethodUnary } from '@bufbuild/protobuf';
import type { sendUnaryData } from '@grpc/grpc-js';
import { rpcName } from './call.ts';
import { codecOf } from './codec.ts';
import type { StatusError } from './errors.ts';
import { GrpcCall, GrpcRequest, type UnaryWireCall, wireStatus } from './grpc-call.ts';
import { composeChain } from './interceptor-chain.ts';
import type { InterceptorParts } from './interceptor.ts';
import type { Handler } from './method.ts';

/** Serves a method with one request and one answer. */
export function unaryCall(method: DescMethodUnary, handler: Handler, parts: InterceptorParts) {
  const rpc = rpcName(method);
  const { decode, encode } = codecOf(method);
  // Encoding is part of the chain, so that an answer which cannot be encoded becomes INTERNAL there.
  const run = composeChain(method, parts, async (call, request) => encode(await handler(call, request.message)));
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
