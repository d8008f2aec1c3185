import { createClient, type CallOptions, type Client, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { AuditService } from '../../gen/platen/v1/audit_service_pb.js';
import { BundleService } from '../../gen/platen/v1/bundle_service_pb.js';
import { RenderService } from '../../gen/platen/v1/render_service_pb.js';
import { TemplateService } from '../../gen/platen/v1/template_service_pb.js';
import { TenantService } from '../../gen/platen/v1/tenant_service_pb.js';
import { UsageError } from './failure.ts';

/** Where `platen serve` listens unless told otherwise. */
export const DEFAULT_SERVER = 'http://127.0.0.1:50051';

/** How long a call may take, in milliseconds; sent to the server as the call's deadline. */
const TIMEOUT_MS = 30_000;

/** The deadline of a call that reads or changes much of the trail: an hour instead of the half minute of others. */
export const LONG_JOB: CallOptions = { timeoutMs: 3_600_000 };

/** So often a call may meet a connection that just ends. */
const MAX_REPEATS = 3;

/** Repeats what the server refused unseen, since it was just ending the connection (RFC 9113, 8.7). */
const repeatUnseen: Interceptor = (next) => async (request) => {
  for (let left = MAX_REPEATS; ; left -= 1) {
    try {
      return await next(request);
    } catch (error) {
      if (left === 0 || !String(error).includes('NGHTTP2_REFUSED_STREAM')) throw error;
    }
  }
};

/** A typed client for each service. */
export interface Clients {
  readonly tenants: Client<typeof TenantService>;
  readonly templates: Client<typeof TemplateService>;
  readonly bundles: Client<typeof BundleService>;
  readonly renders: Client<typeof RenderService>;
  readonly audit: Client<typeof AuditService>;
}

/** Clients over one connection, which is opened with the first call. */
export interface Connection {
  readonly server: string;
  readonly clients: Clients;
  /** Closes the connection, so that the process can end. */
  close(): void;
}

/**
 * Clients of the server at an address: `http://host:port`, `https://host:port`, or `host:port` for the first.
 * @throws UsageError if it is no address
 */
export function connect(address: string): Connection {
  const server = address.includes('://') ? address : `http://${address}`;
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
    throw new UsageError(`"${address}" is no address of a server; write it as ${DEFAULT_SERVER}`);
  }
  const sessionManager = new Http2SessionManager(server);
  const transport = createGrpcTransport({
    baseUrl: server,
    sessionManager,
    defaultTimeoutMs: TIMEOUT_MS,
    interceptors: [repeatUnseen],
  });
  const clients = {
    tenants: createClient(TenantService, transport),
    templates: createClient(TemplateService, transport),
    bundles: createClient(BundleService, transport),
    renders: createClient(RenderService, transport),
    audit: createClient(AuditService, transport),
  };
  return { server, clients, close: () => sessionManager.abort() };
}
