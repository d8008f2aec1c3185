import assert from 'node:assert/strict';
import { createRegistry } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { Code } from '../../../gen/google/rpc/code_pb.js';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  file_google_rpc_error_details,
  ResourceInfoSchema,
} from '../../../gen/google/rpc/error_details_pb.js';
import {
  type RenderOutcome,
  RenderService,
  RenderSource,
  RenderView,
} from '../../../gen/platen/v1/render_service_pb.js';
import { PromptType, VariableType } from '../../../gen/platen/v1/resources_pb.js';
import { valuesOf } from '../../../src/rpc/mapping/struct.ts';
import { Brand, section } from '../../support/authoring.ts';
import { failure, Platen } from '../../support/platen.ts';
import { RenderStream } from '../../support/render-stream.ts';
import { byBundle, byType, type RenderInit } from '../../support/rendering.ts';

const MOST = 64;

/** What came of one of many: its text, or why there is none. */
function told({ outcome }: RenderOutcome): string {
  if (outcome.case === 'response') return outcome.value.text;
  const { code, details } = outcome.value!;
  const [info] = details.flatMap((detail) => anyUnpack(detail, ErrorInfoSchema) ?? []);
  const fields = details.flatMap((detail) => anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? []);
  const named = details.flatMap((detail) => anyUnpack(detail, ResourceInfoSchema) ?? []);
  const about = [...fields.map(({ field, reason }) => `${field} ${reason}`), ...named.map((each) => each.resourceType)];
  return [Code[code], info!.reason, ...about].join(' ');
}

describe('many renders at once', () => {
  let platen: Platen;
  let brand: Brand;
  let bundleId: string;

  before(async () => {
    platen = await Platen.start();
    brand = await Brand.create(platen.clients);
    const variables = [{ name: 'name', type: VariableType.STRING, required: true }];
    const templateId = await brand.template({ content: 'Hello {name}', variables });
    ({ bundleId } = await brand.bundle({ draft: { sections: [section(templateId)] } }));
  });
  after(() => platen.stop());

  function greeting(name: string, more: RenderInit = {}): RenderInit {
    return { tenant: brand.tenant, target: byBundle(bundleId), variables: valuesOf({ name }), ...more };
  }

  /** Requests that fare differently, and what is told of each. */
  function mixture(): { requests: RenderInit[]; outcomes: string[] } {
    const { tenant } = brand;
    return {
      requests: [
        greeting('Ada'),
        { tenant, target: byBundle(bundleId) },
        { tenant, target: byBundle('nothing') },
        { tenant },
        { tenant, target: byBundle(bundleId), variables: valuesOf({ name: 'a\0b', rest: ['\0'] }) },
        { tenant, target: byBundle('nothing'), fallbackText: 'instead' },
        greeting('Bob', { view: 9 as RenderView, channel: 'x'.repeat(200) }),
        greeting('Cid'),
      ],
      outcomes: [
        'Hello Ada',
        'INVALID_ARGUMENT VARIABLES_INVALID variables.name MISSING',
        'NOT_FOUND RESOURCE_NOT_FOUND channel',
        'INVALID_ARGUMENT INVALID_INPUT target REQUIRED',
        'INVALID_ARGUMENT INVALID_INPUT variables.name NUL variables.rest[0] NUL',
        'instead',
        'INVALID_ARGUMENT INVALID_INPUT view OUT_OF_RANGE channel TOO_LONG',
        'Hello Cid',
      ],
    };
  }

  function clients(): [protocol: string, client: Client<typeof RenderService>][] {
    const http = { baseUrl: platen.httpUrl, httpVersion: '1.1' } as const;
    const jsonOptions = { registry: createRegistry(file_google_rpc_error_details) };
    const json = { ...http, useBinaryFormat: false, jsonOptions };
    return [
      ['gRPC', platen.clients.renders],
      ['gRPC-Web', createClient(RenderService, createGrpcWebTransport(http))],
      ['Connect', createClient(RenderService, createConnectTransport(http))],
      ['Connect with JSON', createClient(RenderService, createConnectTransport(json))],
    ];
  }

  async function failures(): Promise<Record<string, number>> {
    const codes = ['INVALID_ARGUMENT', 'NOT_FOUND'];
    const counts = codes.map(async (code) => [code, (await platen.metric('render_errors_total', `"${code}"`)) ?? 0]);
    return Object.fromEntries(await Promise.all(counts));
  }

  describe('Each render of a batch or stream fails alone', () => {
    it('in a batch each has an outcome in its place, over every protocol', async () => {
      for (const [protocol, client] of clients()) {
        const { requests, outcomes } = mixture();
        const answer = await client.batchRender({ requests });
        assert.deepEqual(answer.outcomes.map(told), outcomes, protocol);
      }
    });

    it('in a stream each has an answer of its id', async () => {
      const { requests, outcomes } = mixture();
      const stream = new RenderStream(platen.grpcAddress);
      stream.send(...requests.map((request, id) => ({ id, request })), { id: 1000 });
      stream.finish();
      assert.equal((await stream.end).code, 'OK');
      const byId = stream.answers.toSorted((a, b) => a.id - b.id);
      assert.deepEqual(byId.map(({ id }) => id), [...outcomes.keys(), 1000]);
      const texts = byId.map(({ outcome }) => told(outcome!));
      assert.deepEqual(texts, [...outcomes, 'INVALID_ARGUMENT INVALID_INPUT target REQUIRED']);
    });

    it('its error is the one that a call of its own has', async () => {
      const request = greeting('Bob', { view: 9 as RenderView });
      const alone = await failure(platen.clients.renders.render(request));
      const { outcomes } = await platen.clients.renders.batchRender({ requests: [request] });
      const { outcome } = outcomes[0]!;
      assert.equal(outcome.case, 'error');
      assert.equal(outcome.value.message, alone.message);
      assert.deepEqual([told(outcomes[0]!)], [`INVALID_ARGUMENT ${alone.reason} ${alone.violations.join(' ')}`]);
    });

    it('each is counted where it fails, and the call succeeds', async () => {
      const before = await failures();
      const { requests } = mixture();
      await platen.clients.renders.batchRender({ requests });
      const stream = new RenderStream(platen.grpcAddress);
      stream.send({ id: 1, request: { tenant: brand.tenant, target: byBundle('nothing') } });
      stream.finish();
      await stream.end;
      const after = await failures();
      const counted = Object.keys(after).map((code) => [code, after[code]! - before[code]!]);
      assert.deepEqual(counted, [['INVALID_ARGUMENT', 4], ['NOT_FOUND', 2]]);
    });

    it('each leaves a receipt of its own, under the trace of the call', async () => {
      const traceId = '0af7651916cd43dd8448eb211c80319c';
      const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
      const requests = [greeting('Ada', { requestId: 'turn-1' }), greeting('Bob', { requestId: 'turn-2' })];
      const { outcomes } = await platen.clients.renders.batchRender({ requests }, { headers });
      const stream = new RenderStream(platen.grpcAddress, headers);
      stream.send({ id: 1, request: greeting('Cid', { requestId: 'turn-3' }) });
      stream.finish();
      await stream.end;
      const responses = [...outcomes, stream.answers[0]!.outcome!].map(({ outcome }) => outcome);
      const kept: string[] = [];
      for (const { value } of responses) {
        assert.equal(value?.$typeName, 'platen.v1.RenderResponse');
        const { receipt } = await platen.clients.audit.getReceipt({ renderId: value.renderId });
        assert.equal(receipt!.renderedHash, value.renderedHash);
        kept.push(`${receipt!.requestId} ${receipt!.caller} ${receipt!.traceId}`);
      }
      const by = `anonymous@loopback ${traceId}`;
      assert.deepEqual(kept, [`turn-1 ${by}`, `turn-2 ${by}`, `turn-3 ${by}`]);
    });

    it('each is rendered as its own view and target say', async () => {
      const requests = [
        greeting('Ada', { view: RenderView.MESSAGES }),
        greeting('Ada', { view: RenderView.FULL }),
        { tenant: brand.tenant, target: byType(PromptType.GREETING) },
      ];
      const { outcomes } = await platen.clients.renders.batchRender({ requests });
      const shown = outcomes.map(({ outcome }) => {
        assert.equal(outcome.case, 'response');
        const { text, messages, source } = outcome.value;
        return [text === '' ? 'no text' : 'text', messages.length, RenderSource[source]];
      });
      assert.deepEqual(shown, [['no text', 1, 'ACTIVE'], ['text', 1, 'ACTIVE'], ['text', 0, 'FALLBACK']]);
    });

    it('a batch has 1 to 64', async () => {
      const requests = Array.from({ length: MOST }, (_, index) => greeting(`n${index}`));
      const { outcomes } = await platen.clients.renders.batchRender({ requests });
      assert.deepEqual(outcomes.map(told), requests.map((_, index) => `Hello n${index}`));
      for (const [protocol, client] of clients()) {
        const none = await failure(client.batchRender({}));
        assert.deepEqual([none.code, none.violations], ['InvalidArgument', ['requests REQUIRED']], protocol);
        const many = await failure(client.batchRender({ requests: [...requests, greeting('one more')] }));
        assert.deepEqual([many.code, many.violations], ['InvalidArgument', ['requests TOO_MANY']], protocol);
      }
    });

    it('text that is not Unicode fails alone in JSON too', async () => {
      const item = (name: string) => ({ tenant: brand.tenant, bundle: { bundleId }, variables: { name } });
      const requests = [item('\ud800'), item('Ada')];
      const { status, body } = await platen.json('RenderService/BatchRender', { requests });
      const [ill, well] = body['outcomes'] as { error?: { code: number }; response?: { text: string } }[];
      assert.deepEqual([status, ill!.error!.code, well!.response!.text], [200, Code.INVALID_ARGUMENT, 'Hello Ada']);
    });
  });
});
