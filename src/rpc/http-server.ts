import { type RequestListener, type Server, type ServerResponse, createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Metrics } from '../telemetry/metrics.ts';
import { createConnectListeners } from './connect-adapter.ts';
import type { Health } from './health.ts';
import type { InterceptorParts } from './interceptor.ts';
import { MAX_HEADER_BYTES } from './limits.ts';
import type { ServedService } from './method.ts';

/** Longer than the idle timeout of common load balancers, so that they close first and no request is cut off. */
const KEEP_ALIVE_MS = 65_000;

/** How long a request may take to arrive, headers and body alike; Node looks every few seconds which have not. */
const ARRIVAL_MS = 30_000;
const ARRIVAL_CHECK_MS = 5_000;

/** What answers on the HTTP port: procedures by Connect and gRPC-Web, and the pages for operators. */
export class HttpServer {
  readonly server: Server;
  readonly #responses = new Set<ServerResponse>();
  #closing = false;

  constructor(services: readonly ServedService[], parts: InterceptorParts, health: Health) {
    const findProcedure = createConnectListeners(services, parts);
    const pages = createPages(parts.metrics, health);
    const options = {
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: ARRIVAL_MS,
      requestTimeout: ARRIVAL_MS,
      connectionsCheckingInterval: ARRIVAL_CHECK_MS,
    };
    this.server = createServer(options, (request, response) => {
      this.#track(response);
      const path = (request.url as string).split('?', 1)[0] as string;
      const listener = findProcedure(path) ?? pages.get(path) ?? notFound;
      if (URL.canParse(`http://${request.headers.host ?? ''}/`)) listener(request, response);
      else sendText(response, 400, 'the request names no host\n');
    });
  }

  /** Has each connection closed after its next answer, or the one that it is in the middle of. */
  endConnections(): void {
    this.#closing = true;
    for (const response of this.#responses) response.shouldKeepAlive = false;
  }

  #track(response: ServerResponse): void {
    if (this.#closing) response.shouldKeepAlive = false;
    this.#responses.add(response);
    response.once('close', () => {
      this.#responses.delete(response);
      if (this.#closing) this.#endIfIdle(response.req.socket);
    });
  }

  /** A stream may have told its caller that the connection will be kept before anybody knew better. */
  #endIfIdle(socket: Socket): void {
    const isBusy = [...this.#responses].some(({ req }) => req.socket === socket);
    if (!isBusy) socket.destroySoon();
  }
}

function createPages(metrics: Metrics, health: Health): ReadonlyMap<string, RequestListener> {
  return new Map<string, RequestListener>([
    ['/healthz', (_request, response) => sendText(response, 200, 'ok\n')],
    ['/readyz', (_request, response) => sendReadiness(response, health)],
    ['/metrics', (_request, response) => void sendMetrics(response, metrics)],
  ]);
}

function sendReadiness(response: ServerResponse, { serving }: Health): void {
  if (serving) sendText(response, 200, 'ok\n');
  else sendText(response, 503, 'not ready\n');
}

async function sendMetrics(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    const text = await metrics.text();
    response.setHeader('content-type', metrics.registry.contentType);
    response.end(text);
  } catch (error) {
    sendText(response, 503, `${(error as Error).message}\n`);
  }
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(text);
}

const notFound: RequestListener = (_request, response) => sendText(response, 404, 'not found\n');
