import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { RenderService } from '../../gen/platen/v1/render_service_pb.js';
import { rpcName } from './call.ts';
import { isPlain, type StreamListener } from './http2-call.ts';
import { http2Exchange } from './http2-exchange.ts';
import { http2ServersOf } from './http2-servers.ts';
import { http2Unary } from './http2-unary.ts';
import type { InterceptorParts } from './interceptor.ts';
import type { ServedService } from './method.ts';

/** What is called on every turn of a chat; and streams in both directions, which are not served otherwise. */
const DIRECT: ReadonlySet<unknown> = new Set([RenderService.method.render, RenderService.method.batchRender]);

/**
 * Answers the plain calls of some methods on their HTTP/2 streams; grpc-js has all others, and the connections
 * themselves (docs/adr/0038). To be called once the server has its connection injector.
 */
export function answerDirectly(server: Server, services: readonly ServedService[], parts: InterceptorParts): void {
  const direct = new Map<string, StreamListener>();
  for (const { handlers, exchanges } of services) {
    for (const [method, handler] of handlers) {
      if (DIRECT.has(method)) direct.set(`/${rpcName(method)}`, http2Unary(method, handler, parts));
    }
    for (const [method, handler] of exchanges) direct.set(`/${rpcName(method)}`, http2Exchange(method, handler, parts));
  }
  for (const http2Server of http2ServersOf(server)) {
    const [serveByGrpc] = http2Server.listeners('stream') as [StreamListener];
    http2Server.off('stream', serveByGrpc);
    http2Server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      const answer = direct.get(headers[':path'] as string);
      if (answer !== undefined && isPlain(headers)) answer(stream, headers);
      else serveByGrpc(stream, headers);
    });
  }
}
