import assert from 'node:assert/strict';
import { type Client, Code, type ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema, ResourceInfoSchema } from '../../../gen/google/rpc/error_details_pb.js';
import { RenderService } from '../../../gen/platen/v1/render_service_pb.js';
import { TenantService } from '../../../gen/platen/v1/tenant_service_pb.js';
import type { CallContext } from '../../../src/rpc/method.ts';
import { TestServer, failure, fakeServices, reasonOf, until } from '../../support/rpc-server.ts';

describe('Both ports answer alike', () => {
  let server: TestServer;
  const contexts: CallContext[] = [];

  before(async () => {
    server = await TestServer.start(
      fakeServices({
        render: async (context, { tenant }) => {
          contexts.push(context);
          if (tenant === 'defect') throw new TypeError('secret');
          if (tenant === 'unencodable') return { revision: 2 ** 40 };
          if (tenant === 'not JSON') return { modelConfig: { temperature: Number.NaN } };
          if (tenant === 'slow') await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
          return { tenant, text: `hello ${tenant}` };
        },
      }),
    );
  });
  after(() => server.stop());

  /** Runs the same over every protocol. Connect GET is for methods without side effects; the others are posted. */
  function inEveryProtocol(run: (renders: Client<typeof RenderService>, protocol: string) => Promise<void>) {
    return async () => {
      for (const { protocol, client } of server.clients(RenderService)) await run(client, protocol);
    };
  }

  it(
    'answers in every protocol',
    inEveryProtocol(async (renders, protocol) => {
      assert.equal((await renders.render({ tenant: 'acme' })).text, 'hello acme', protocol);
      assert.equal((await renders.preview({ tenant: 'acme' })).text, 'preview for acme', protocol);
    }),
  );

  it('sends the same code, message and details in every protocol', async () => {
    for (const { protocol, client: tenants } of server.clients(TenantService)) {
      const error = await failure(tenants.getTenant({ tenant: 'nobody' }));
      assert.equal(error.code, Code.NotFound, protocol);
      assert.equal(error.rawMessage, 'tenant nobody does not exist', protocol);
      const [info] = error.findDetails(ErrorInfoSchema);
      assert.deepEqual({ ...info }, { ...info, domain: 'platen', reason: 'RESOURCE_NOT_FOUND' }, protocol);
      const [resource] = error.findDetails(ResourceInfoSchema);
      assert.equal(resource?.resourceName, 'nobody', protocol);
    }
  });

  it(
    'refuses ill-formed text',
    inEveryProtocol(async (renders, protocol) => {
      const error = await failure(renders.render({ tenant: 'a\0b', labels: { 'k\0': 'v' } }));
      assert.equal(error.code, Code.InvalidArgument, protocol);
      assert.equal(reasonOf(error), 'INVALID_INPUT', protocol);
      const [badRequest] = error.findDetails(BadRequestSchema);
      assert.deepEqual(
        badRequest?.fieldViolations.map(({ field, reason }) => ({ field, reason })),
        [
          { field: 'tenant', reason: 'NUL' },
          { field: 'labels["k\\u0000"]', reason: 'NUL' },
        ],
        protocol,
      );
    }),
  );

  it(
    'answers a defect with INTERNAL and an id, and nothing of its cause',
    inEveryProtocol(async (renders, protocol) => {
      assertInternal(await failure(renders.render({ tenant: 'defect' })), protocol);
    }),
  );

  it(
    'answers INTERNAL where the answer cannot be encoded',
    inEveryProtocol(async (renders, protocol) => {
      const tenant = protocol.endsWith('JSON') ? 'not JSON' : 'unencodable';
      assertInternal(await failure(renders.render({ tenant })), protocol);
    }),
  );

  function assertInternal(error: ConnectError, protocol: string): void {
    assert.equal(error.code, Code.Internal, protocol);
    assert.equal(error.rawMessage, 'internal error; the server logged it under error_id', protocol);
    const [info] = error.findDetails(ErrorInfoSchema);
    assert.equal(info?.reason, 'INTERNAL', protocol);
    assert.ok(server.logs.some((line) => line['error_id'] === info?.metadata['error_id']), protocol);
  }

  it(
    'takes the id of the request from the caller, and tells it',
    inEveryProtocol(async (renders, protocol) => {
      const told: (string | null)[] = [];
      const onHeader = (headers: Headers) => void told.push(headers.get('x-request-id'));
      const headers = { 'x-request-id': 'save-17' };
      await renders.render({ tenant: 'acme' }, { headers, onHeader });
      await renders.preview({ tenant: 'acme' }, { onHeader });
      assert.equal(told[0], 'save-17', protocol);
      assert.match(told[1] as string, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/, protocol);
    }),
  );

  it(
    'tells the id of the request with an error too',
    inEveryProtocol(async (renders, protocol) => {
      const headers = { 'x-request-id': 'save-18' };
      const error = await failure(renders.render({ tenant: 'a\0' }, { headers }));
      assert.equal(error.metadata.get('x-request-id'), 'save-18', protocol);
    }),
  );

  it(
    'hands handlers the same context',
    inEveryProtocol(async (renders, protocol) => {
      contexts.length = 0;
      const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
      const headers = { 'x-request-id': 'r', traceparent };
      const earliest = Date.now();
      await renders.render({ tenant: 'acme' }, { headers, timeoutMs: 10_000 });
      await renders.render({ tenant: 'acme' });
      const [context, unbounded] = contexts as [CallContext, CallContext];
      assert.equal(context.rpc, 'platen.v1.RenderService/Render', protocol);
      assert.equal(context.transport, protocol === 'gRPC' ? 'grpc' : 'connect');
      assert.equal(context.method, RenderService.method.render);
      assert.equal(context.callId, 'r', protocol);
      assert.equal(context.traceId, '4bf92f3577b34da6a3ce929d0e0e4736', protocol);
      assert.equal(context.caller, 'anonymous@loopback', protocol);
      assert.match(context.peer, /^127\.0\.0\.1:\d+$/, protocol);
      assert.equal(context.header('traceparent'), traceparent, protocol);
      assert.equal(context.header('x-unknown'), undefined, protocol);
      const deadline = context.deadline as number;
      assert.ok(deadline > earliest && deadline <= Date.now() + 10_000, protocol);
      assert.equal(unbounded.deadline, undefined, protocol);
      assert.equal(context.signal.aborted, false, protocol);
    }),
  );

  it(
    'tells handlers that the caller has gone',
    inEveryProtocol(async (renders, protocol) => {
      contexts.length = 0;
      const controller = new AbortController();
      const call = failure(renders.render({ tenant: 'slow' }, { signal: controller.signal }));
      await until(() => contexts.length === 1);
      controller.abort();
      await call;
      const { signal } = contexts[0] as CallContext;
      await until(() => signal.aborted);
      assert.equal(signal.reason.name, 'Cancelled', protocol);
      await until(() => server.logs.some((line) => line['call_id'] === contexts[0]?.callId));
      const line = server.logs.find((candidate) => candidate['call_id'] === contexts[0]?.callId);
      assert.equal(line?.['code'], 'CANCELLED', protocol);
    }),
  );

  it(
    'tells handlers that the deadline has passed',
    inEveryProtocol(async (renders, protocol) => {
      contexts.length = 0;
      const error = await failure(renders.render({ tenant: 'slow' }, { timeoutMs: 50 }));
      assert.equal(error.code, Code.DeadlineExceeded, protocol);
      // Cancelled where the caller gave up by its own clock just before the server's reached the deadline.
      const { signal } = contexts[0] as CallContext;
      await until(() => signal.aborted);
      assert.ok(['DeadlineExceeded', 'Cancelled'].includes(signal.reason.name), protocol);
    }),
  );

  it('listens on IPv6 addresses', async () => {
    const other = await TestServer.start(fakeServices(), '[::1]');
    try {
      for (const { protocol, client: renders } of other.clients(RenderService)) {
        assert.equal((await renders.render({ tenant: 'six' })).text, 'hello six', protocol);
      }
      assert.match(other.addresses.grpcAddress, /^\[::1\]:\d+$/);
      assert.match(other.addresses.httpAddress, /^\[::1\]:\d+$/);
    } finally {
      await other.stop();
    }
  });
});
