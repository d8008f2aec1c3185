import { Server, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { rpcName } from './call.ts';
import { serverStreamCall } from './grpc-server-stream.ts';
import { unaryCall } from './grpc-unary.ts';
import type { InterceptorParts } from './interceptor.ts';
import { MAX_HEADER_BYTES, MAX_REQUEST_BYTES } from './limits.ts';
import type { ServedService } from './method.ts';

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
  for (const { handlers, streams, exchanges } of services) {
    for (const [method, handler] of handlers) {
      server.register(`/${rpcName(method)}`, unaryCall(method, handler, parts), identity, identity, 'unary');
    }
    for (const [method, handler] of streams) {
      server.register(`/${rpcName(method)}`, serverStreamCall(method, handler, parts), identity, identity, 'serverStream');
    }
    for (const method of exchanges.keys()) {
      server.register(`/${rpcName(method)}`, refuseUnusual, identity, identity, 'bidi');
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

/** Plain calls of these methods do not come here (`direct-calls.ts`). */
function refuseUnusual(call: ServerDuplexStream<Buffer, Buffer>): void {
  const details = 'this stream takes application/grpc, no compressed messages, and a well-formed grpc-timeout only';
  call.emit('error', { code: status.UNIMPLEMENTED, details });
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}
