import { setTimeout as wait } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, ConnectError, type Transport, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.js';
import { AuditService } from '../../gen/platen/v1/audit_service_pb.js';
import { RenderService } from '../../gen/platen/v1/render_service_pb.js';
import { TenantService } from '../../gen/platen/v1/tenant_service_pb.js';
import { NotFound } from '../../src/domain/errors.ts';
import { type ServedService, type ServiceHandlers, serve } from '../../src/rpc/method.ts';
import { type Addresses, RpcServer } from '../../src/rpc/server.ts';
import { type LogLevel, createLogger } from '../../src/telemetry/logger.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

export type LogLine = Readonly<Record<string, unknown>>;

/** A logger whose lines can be read. */
export function memoryLogger(level: LogLevel = 'debug') {
  const lines: LogLine[] = [];
  const logger = createLogger(level, { write: (line) => void lines.push(JSON.parse(line)) });
  return { logger, lines };
}

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error('the call succeeded');
}

/** The reason that an error carries; undefined: none. */
export function reasonOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema)[0]?.reason;
}

/** Resolves once a condition holds; mocha's timeout bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await wait(1);
}

/** Handlers that answer with what they were asked for, so that a test overrides those it is about. */
export function fakeServices(
  render: Partial<ServiceHandlers<typeof RenderService>> = {},
  tenants: Partial<ServiceHandlers<typeof TenantService>> = {},
): ServedService[] {
  return [
    serve(RenderService, {
      render: async (_context, { tenant }) => ({ tenant, text: `hello ${tenant}` }),
      batchRender: async (_context, { requests }) => ({ outcomes: requests.map(() => ({})) }),
      renderStream: async (_context, { id }) => ({ id }),
      preview: async (_context, { tenant }) => ({ text: `preview for ${tenant}` }),
      checkOutput: async (_context, { tenant }) => ({ tenant, passed: true }),
      explainRoute: async (_context, { tenant }) => ({ tenant }),
      ...render,
    }),
    serve(TenantService, {
      createTenant: async (_context, { tenant }) => ({ tenant: { tenant } }),
      getTenant: async (_context, { tenant }) => {
        throw new NotFound('tenant', tenant);
      },
      listTenants: async () => ({ tenants: [] }),
      updateTenant: async (_context, { tenant }) => ({ tenant: { tenant } }),
      ...tenants,
    }),
  ];
}

/** AuditService with what a test calls of it. */
export function fakeAudit(handlers: Partial<ServiceHandlers<typeof AuditService>>): ServedService {
  return serve(AuditService, handlers as ServiceHandlers<typeof AuditService>);
}

/** A server on free ports of the loopback interface. */
export class TestServer {
  readonly server: RpcServer;
  readonly addresses: Addresses;
  readonly logs: readonly LogLine[];
  readonly metrics: Metrics;

  private constructor(server: RpcServer, addresses: Addresses, logs: readonly LogLine[], metrics: Metrics) {
    this.server = server;
    this.addresses = addresses;
    this.logs = logs;
    this.metrics = metrics;
  }

  static async start(
    services: readonly ServedService[] = fakeServices(),
    host = '127.0.0.1',
    connectionAgeMs = 0,
  ): Promise<TestServer> {
    const { logger, lines } = memoryLogger();
    const metrics = new Metrics();
    const server = new RpcServer({ services, logger, metrics, connectionAgeMs });
    const addresses = await server.start({ grpcAddress: `${host}:0`, httpAddress: `${host}:0` });
    server.setServing();
    return new TestServer(server, addresses, lines, metrics);
  }

  get grpcUrl(): string {
    return `http://${this.addresses.grpcAddress}`;
  }

  get httpUrl(): string {
    return `http://${this.addresses.httpAddress}`;
  }

  grpc<S extends DescService>(service: S): Client<S> {
    return createClient(service, createGrpcTransport({ baseUrl: this.grpcUrl }));
  }

  /** The same client over every protocol that the server speaks. */
  clients<S extends DescService>(service: S): { protocol: string; client: Client<S> }[] {
    const http = { baseUrl: this.httpUrl, httpVersion: '1.1' } as const;
    const transports: [string, Transport][] = [
      ['gRPC', createGrpcTransport({ baseUrl: this.grpcUrl })],
      ['gRPC-Web', createGrpcWebTransport(http)],
      ['gRPC-Web with JSON', createGrpcWebTransport({ ...http, useBinaryFormat: false })],
      ['Connect', createConnectTransport(http)],
      ['Connect with JSON', createConnectTransport({ ...http, useBinaryFormat: false })],
      ['Connect GET', createConnectTransport({ ...http, useHttpGet: true })],
    ];
    return transports.map(([protocol, transport]) => ({ protocol, client: createClient(service, transport) }));
  }

  /** Posts to a procedure of the HTTP port. */
  post(
    rpc: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body };
    return fetch(`${this.httpUrl}/${rpc}`, init);
  }

  stop(): Promise<void> {
    return this.server.drain(0);
  }
}
