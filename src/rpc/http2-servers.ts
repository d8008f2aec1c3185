import type { Http2Server } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

/** The HTTP/2 servers of a gRPC server that has its connection injector; grpc-js keeps them to itself. */
export function http2ServersOf(server: Server): Iterable<Http2Server> {
  return (Reflect.get(server, 'http2Servers') as ReadonlyMap<Http2Server, unknown>).keys();
}
