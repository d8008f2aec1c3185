import assert from 'node:assert/strict';
import {
  create,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
} from '@bufbuild/protobuf';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { createClient } from '@connectrpc/connect';
import { AuditService } from '../../gen/platen/v1/audit_service_pb.js';
import { BundleService } from '../../gen/platen/v1/bundle_service_pb.js';
import { RenderService } from '../../gen/platen/v1/render_service_pb.js';
import { TemplateService } from '../../gen/platen/v1/template_service_pb.js';
import { TenantService } from '../../gen/platen/v1/tenant_service_pb.js';
import { failure, Platen } from '../support/platen.ts';

const SERVICES: readonly DescService[] = [TenantService, TemplateService, BundleService, RenderService, AuditService];

/** Reads that an empty request suffices for. */
const ANSWERS_EMPTY = new Set([
  'GetTenant',
  'ListTenants',
  'ListTemplates',
  'ListBundles',
  'ListActivations',
  'ListChanges',
  'ListReceipts',
]);

interface Outcome {
  readonly code: string;
  readonly reason: string;
}

describe('the contract, over the wire', () => {
  let platen: Platen;

  before(async () => {
    platen = await Platen.start();
  });

  after(() => platen.stop());

  async function overGrpc(service: DescService, method: DescMethodUnary): Promise<Outcome> {
    const client = createClient(service, createGrpcTransport({ baseUrl: `http://${platen.grpcAddress}` }));
    const call = (client as unknown as Record<string, (request: object) => Promise<unknown>>)[method.localName]!;
    return call(create(method.input)).then(
      () => ({ code: 'OK', reason: '' }),
      (error: unknown) => failure(Promise.reject(error)),
    );
  }

  async function overJson(service: DescService, method: DescMethodUnary): Promise<Outcome> {
    const { status, body } = await platen.json(`${service.name}/${method.name}`, {});
    if (status === 200) return { code: 'OK', reason: '' };
    const details = body['details'] as { debug: { reason?: string } }[];
    const code = (body['code'] as string).replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return { code, reason: details[0]!.debug.reason! };
  }

  describe('No RPC answers unimplemented', () => {
    for (const service of SERVICES) {
      for (const method of service.methods.filter(isUnary)) {
        it(`${service.name}/${method.name} answers an empty request alike on both ports`, async () => {
          const outcome = await overGrpc(service, method);
          assert.deepEqual(await overJson(service, method), { code: outcome.code, reason: outcome.reason });
          assert.equal(outcome.code === 'OK', ANSWERS_EMPTY.has(method.name), outcome.code);
          if (outcome.code !== 'OK') assert.match(outcome.code, /^(InvalidArgument|NotFound)$/);
        });
      }

      for (const method of service.methods.filter(isStream)) {
        it(`${service.name}/${method.name} streams an answer to an empty request`, async () => {
          const client = createClient(service, createGrpcTransport({ baseUrl: `http://${platen.grpcAddress}` }));
          const call = (client as unknown as Record<string, (request: object) => AsyncIterable<object>>)[method.localName]!;
          let messages = 0;
          for await (const _ of call(create(method.input))) messages += 1;
          assert(messages > 0);
        });
      }

      for (const method of service.methods.filter(isExchange)) {
        it(`${service.name}/${method.name} streams an answer to each empty request`, async () => {
          const client = createClient(service, createGrpcTransport({ baseUrl: `http://${platen.grpcAddress}` }));
          type Exchange = (requests: AsyncIterable<object>) => AsyncIterable<object>;
          const call = (client as unknown as Record<string, Exchange>)[method.localName]!;
          let messages = 0;
          for await (const _ of call(twoOf(create(method.input)))) messages += 1;
          assert.equal(messages, 2);
        });
      }
    }
  });
});

function isUnary(method: { readonly methodKind: string }): method is DescMethodUnary {
  return method.methodKind === 'unary';
}

function isStream(method: { readonly methodKind: string }): method is DescMethodServerStreaming {
  return method.methodKind === 'server_streaming';
}

function isExchange(method: { readonly methodKind: string }): method is DescMethodBiDiStreaming {
  return method.methodKind === 'bidi_streaming';
}

async function* twoOf(message: object): AsyncGenerator<object> {
  yield message;
  yield message;
}
