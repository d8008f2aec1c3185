import { createServer } from 'node:net';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { limitConnectionAge } from './connection-age.ts';
import { answerDirectly } from './direct-calls.ts';
import { Drain } from './drain.ts';
import { createGrpcServer } from './grpc-adapter.ts';
import { Health } from './health.ts';
import { HttpServer } from './http-server.ts';
import type { ServedService } from './method.ts';
import { OpenStreams } from './open-streams.ts';
import { Port } from './port.ts';
import { addReflection } from './reflection.ts';

/** What was sent on a new connection before the drain is read by then. */
const UNUSED_MS = 100;
/** How long calls that were told to end, and their answers, may take on their way out. */
const FORCE_MS = 1000;

/** `host:port`; an IPv6 host stands in brackets, port 0 means a free one. */
export interface Addresses {
  readonly grpcAddress: string;
  readonly httpAddress: string;
}

/** What a server is made of. */
export interface RpcServerParts {
  readonly services: readonly ServedService[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** After this time a gRPC connection is closed once its calls are done, in milliseconds; 0: never. */
  readonly connectionAgeMs: number;
}

/** Serves the services on both ports, with health, reflection, metrics and an orderly end. */
export class RpcServer {
  readonly #logger: Logger;
  readonly #health: Health;
  readonly #drain = new Drain();
  readonly #streams = new OpenStreams();
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;
  readonly #ports: { readonly grpc: Port; readonly http: Port };
  #drained: Promise<void> | undefined;

  constructor({ services, logger, metrics, connectionAgeMs }: RpcServerParts) {
    const parts = { logger, metrics, drain: this.#drain, connectionAgeMs };
    this.#logger = logger;
    this.#health = new Health(services.map(({ service }) => service.typeName));
    this.#grpc = createGrpcServer(services, parts);
    this.#health.addTo(this.#grpc, this.#streams);
    addReflection(this.#grpc, services, this.#streams);
    this.#http = new HttpServer(services, parts, this.#health);
    // grpc-js can listen by itself, but then it can neither end connections that never spoke nor force the others.
    const injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure());
    if (connectionAgeMs > 0) limitConnectionAge(this.#grpc, connectionAgeMs);
    answerDirectly(this.#grpc, services, parts);
    const listener = createServer({ noDelay: true }, (socket) => injector.injectConnection(socket));
    this.#ports = { grpc: new Port(listener), http: new Port(this.#http.server) };
  }

  /**
   * Binds both ports. Calls are answered from now on; health and `/readyz` say no until `setServing`.
   * @returns the addresses as they were bound
   * @throws an error that names the address which could not be bound; then neither is
   */
  async start({ grpcAddress, httpAddress }: Addresses): Promise<Addresses> {
    const { grpc, http } = this.#ports;
    const bound = await grpc.listen(grpcAddress);
    try {
      return { grpcAddress: bound, httpAddress: await http.listen(httpAddress) };
    } catch (error) {
      await grpc.close();
      throw error;
    }
  }

  /** Tells load balancers that this server is ready. */
  setServing(): void {
    this.#health.set(true);
  }

  /**
   * Ends the server without losing a request: health and `/readyz` say no, no more connections and calls are taken,
   * calls in flight finish. Calls that are not done after `graceMs` are answered with UNAVAILABLE (DRAINING).
   * Resolves once every connection is closed; repeated calls wait for the first.
   */
  drain(graceMs: number): Promise<void> {
    this.#drained ??= this.#end(graceMs);
    return this.#drained;
  }

  async #end(graceMs: number): Promise<void> {
    const ports = Object.values(this.#ports);
    this.#health.set(false);
    this.#drain.begin();
    this.#streams.endAll();
    this.#http.endConnections();
    const closed = Promise.all(ports.map((port) => port.close()));
    // Sends GOAWAY: clients go on elsewhere with what they have not begun here.
    this.#grpc.tryShutdown(() => {});
    const unusedTimer = setTimeout(() => ports.forEach((port) => port.closeUnused()), UNUSED_MS);
    if (!(await settlesWithin(closed, graceMs))) {
      this.#logger.warn({ grace_ms: graceMs }, 'calls in flight at the end of the grace period are ended');
      this.#drain.abortAll();
      if (!(await settlesWithin(closed, FORCE_MS))) for (const port of ports) port.closeAll();
    }
    await closed;
    clearTimeout(unusedTimer);
  }
}

/** Whether a promise is fulfilled in time. */
async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: timeout, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([promise.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
