import type { DescMethodServerStreaming } from '@bufbuild/protobuf';
import { rpcName } from './call.ts';
import type { StatusError } from './errors.ts';
import { compileDecoder, encode, GrpcCall, GrpcRequest, type StreamWireCall, wireStatus } from './grpc-call.ts';
import { composeChain } from './interceptor-chain.ts';
import type { InterceptorParts } from './interceptor.ts';
import type { ServedMethod, StreamHandler } from './method.ts';
import { handleAndSend } from './stream.ts';

/** Serves a method with one request and a stream of answers. */
export function serverStreamCall(method: DescMethodServerStreaming, handler: StreamHandler, parts: InterceptorParts) {
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
