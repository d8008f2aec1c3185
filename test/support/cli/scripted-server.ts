import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { toJson, type DescService, type JsonValue } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { ErrorInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import { AuditService } from '../../../gen/platen/v1/audit_service_pb.js';
import { BundleService } from '../../../gen/platen/v1/bundle_service_pb.js';
import { RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { TemplateService } from '../../../gen/platen/v1/template_service_pb.js';
import { TenantService } from '../../../gen/platen/v1/tenant_service_pb.js';

/** Answers of a server, by service; what is not scripted is UNIMPLEMENTED. */
export interface Script {
  readonly tenants?: Partial<ServiceImpl<typeof TenantService>>;
  readonly templates?: Partial<ServiceImpl<typeof TemplateService>>;
  readonly bundles?: Partial<ServiceImpl<typeof BundleService>>;
  readonly renders?: Partial<ServiceImpl<typeof RenderService>>;
  readonly audit?: Partial<ServiceImpl<typeof AuditService>>;
}

/** A call that the server got. */
export interface Call {
  readonly method: string;
  /** The request as protobuf's JSON. */
  readonly request: JsonValue;
}

export interface ScriptedServer {
  /** `http://127.0.0.1:port`. */
  readonly address: string;
  /** In the order in which they came. */
  readonly calls: readonly Call[];
  close(): Promise<void>;
}

/** A gRPC server over a real connection that answers as the script says. */
export async function startScriptedServer(script: Script): Promise<ScriptedServer> {
  const calls: Call[] = [];
  const routes = (router: ConnectRouter): void => {
    register(router, calls, TenantService, script.tenants);
    register(router, calls, TemplateService, script.templates);
    register(router, calls, BundleService, script.bundles);
    register(router, calls, RenderService, script.renders);
    register(router, calls, AuditService, script.audit);
  };
  const server = createServer(connectNodeAdapter({ routes }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** An error as the server sends it: with an ErrorInfo and further details. */
export function refusal(
  code: Code,
  reason: string,
  message: string,
  details: ConnectError['details'] = [],
  metadata: Record<string, string> = {},
): ConnectError {
  const info = { desc: ErrorInfoSchema, value: { domain: 'platen', reason, metadata } };
  return new ConnectError(message, code, undefined, [info, ...details] as never);
}

/** The error of a name that is unknown. */
export function notFound(): never {
  throw refusal(Code.NotFound, 'RESOURCE_NOT_FOUND', 'it does not exist');
}

type Answer = (request: never, context: HandlerContext) => unknown;

function register<S extends DescService>(
  router: ConnectRouter,
  calls: Call[],
  service: S,
  implementation: Partial<ServiceImpl<S>> | undefined,
): void {
  const recorded = service.methods.flatMap((method) => {
    const answer = implementation?.[method.localName as keyof S['method']] as Answer | undefined;
    if (answer === undefined) return [];
    const record: Answer = (request, context) => {
      calls.push({ method: method.name, request: toJson(method.input, request) });
      return answer(request, context);
    };
    return [[method.localName, record] as const];
  });
  router.service(service, Object.fromEntries(recorded) as never);
}
