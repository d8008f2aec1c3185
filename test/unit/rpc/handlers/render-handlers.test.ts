import assert from 'node:assert/strict';
import { Code } from '../../../../gen/google/rpc/code_pb.js';
import type { Status } from '../../../../gen/google/rpc/status_pb.js';
import { Cancelled, InvalidInput, Unavailable } from '../../../../src/domain/errors.ts';
import { renderHandlers } from '../../../../src/rpc/handlers/render-handlers.ts';
import type { WorkCall } from '../../../../src/services/bounded-work.ts';
import type { OutputCheckInput, OutputCheckService } from '../../../../src/services/output-check-service.ts';
import type { PreviewInput, PreviewService } from '../../../../src/services/preview-service.ts';
import type { RenderInput } from '../../../../src/services/render-input.ts';
import type { RenderCall, RendererService } from '../../../../src/services/renderer-service.ts';
import type { RouteInput, RouteService } from '../../../../src/services/route-service.ts';
import {
  type RenderOutcome,
  RenderService as RenderRpc,
  RenderView,
} from '../../../../gen/platen/v1/render_service_pb.js';
import { PromptType, Role } from '../../../../gen/platen/v1/resources_pb.js';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { call, callOf, partOf, refusal } from '../../../support/handler-call.ts';
import { memoryLogger } from '../../../support/rpc-server.ts';
import { overTheWire } from '../../../support/wire.ts';

const { method } = RenderRpc;
const NO_OUTPUTS = partOf<OutputCheckService>({});
const NO_ROUTES = partOf<RouteService>({});
const TELEMETRY = { logger: memoryLogger().logger, metrics: new Metrics() };
const ANSWER = {
  text: 'Hello',
  messages: [{ role: 'SYSTEM', content: 'Hello' }],
  renderedHash: '',
  bundleHash: '',
  personalityHash: '',
  variablesHash: '',
  warnings: [],
} as const;

describe('The view decides how much of the answer is filled', () => {
  const rendered: { by: RenderCall; input: RenderInput }[] = [];
  const renderer = partOf<RendererService>({
    render: async (by, input, violations) => {
      if (input.target === undefined) violations!.add('target', 'REQUIRED', 'name a bundle or a type');
      violations!.throwIfAny();
      rendered.push({ by, input });
      const place = { tenant: 'acme', bundleId: 'welcome', version: '1.0.0', channel: 'production', revision: 1 };
      const source = 'ACTIVE';
      return { ...ANSWER, ...place, renderId: 'id', seq: 9, source, modelConfig: undefined, constraints: [] };
    },
  });
  const served = renderHandlers(renderer, partOf<PreviewService>({}), NO_OUTPUTS, NO_ROUTES, TELEMETRY);
  const target = { case: 'type', value: PromptType.GREETING } as const;

  it('Render asks for what the request names, for the caller, until the deadline', async () => {
    const deadline = 1_800_000_000_000;
    const request = { target, view: RenderView.MESSAGES };
    const answer = await call(served, method.render, request, { caller: 'key:1', traceId: 't', deadline });
    assert.equal(answer.text, '');
    assert.equal(answer.messages[0]?.content, 'Hello');
    const { by, input } = rendered.pop()!;
    assert.deepEqual(input.target, { type: 'GREETING' });
    assert.deepEqual([by.caller, by.traceId, by.deadline], ['key:1', 't', deadline]);
  });

  it('Render tells all that is wrong with a request at once, and leaves no receipt', async () => {
    const placeholders = { history: { messages: [{ role: Role.UNSPECIFIED }] } };
    assert.deepEqual(await refusal(call(served, method.render, { placeholders, view: 9 as RenderView })), [
      'view OUT_OF_RANGE',
      'placeholders.history.messages[0].role UNSPECIFIED',
      'target REQUIRED',
    ]);
    assert.deepEqual(rendered, []);
  });
});

/** What prompts of these tenants have. */
const BYTES: ReadonlyMap<string, number> = new Map([
  ['half', 8 * 1024 * 1024],
  ['more', 8 * 1024 * 1024 + 1],
  ['little', 1],
]);

describe('Each render of a batch or stream fails alone', () => {
  const { logger, lines } = memoryLogger();
  const metrics = new Metrics();
  const rendered: { by: RenderCall; input: RenderInput }[] = [];
  const renderer = partOf<RendererService>({
    render: async (by, input) => {
      rendered.push({ by, input });
      if (input.tenant === 'defect') throw new TypeError('secret');
      if (input.tenant === 'away') throw new Unavailable('DATABASE_UNAVAILABLE', 'away', 1000);
      if (input.tenant === 'costly') holdUp();
      by.shared?.take?.(BYTES.get(input.tenant) ?? 0);
      return { ...ANSWER, ...place(input.tenant), renderId: input.requestId, modelConfig: undefined, constraints: [] };
    },
  });
  const served = renderHandlers(renderer, partOf<PreviewService>({}), NO_OUTPUTS, NO_ROUTES, { logger, metrics });
  const target = { case: 'type', value: PromptType.GREETING } as const;

  beforeEach(() => rendered.splice(0));

  function place(tenant: string) {
    return { tenant, bundleId: 'welcome', version: '1', channel: '', revision: 1, seq: 9, source: 'ACTIVE' } as const;
  }

  /** Holds up the event loop for more than its turn. */
  function holdUp(): void {
    const end = performance.now() + 11;
    while (performance.now() < end);
  }

  function told({ outcome }: RenderOutcome): string {
    return outcome.case === 'response' ? outcome.value.renderId : Code[outcome.value!.code]!;
  }

  it('a defect and an outage are outcomes like others; a defect is logged', async () => {
    const requests = [
      { target, requestId: 'r-1' },
      { target, tenant: 'defect' },
      { target, tenant: 'away' },
      { target, requestId: 'r-2' },
    ];
    const { outcomes } = await call(served, method.batchRender, { requests });
    assert.deepEqual(outcomes.map(told), ['r-1', 'INTERNAL', 'UNAVAILABLE', 'r-2']);
    assert.equal(outcomes[1]!.outcome.value!.$typeName, 'google.rpc.Status');
    assert.ok(!JSON.stringify(outcomes[1]!.outcome.value!.message).includes('secret'));
    assert.equal(lines.filter((line) => line['error_id'] !== undefined).length, 1);
    const page = await metrics.text();
    assert.match(page, /render_errors_total\{code="INTERNAL"\} 1\n/);
    assert.match(page, /render_errors_total\{code="UNAVAILABLE"\} 1\n/);
  });

  it('all of a batch are rendered for its caller, until its deadline', async () => {
    const deadline = 1_800_000_000_000;
    const given = { caller: 'key:1', traceId: 't', deadline };
    await call(served, method.batchRender, { requests: [{ target }, { target }] }, given);
    for (const { by } of rendered) assert.deepEqual([by.caller, by.traceId, by.deadline], ['key:1', 't', deadline]);
  });

  it('all of a batch begin together, as long as they take no time', async () => {
    const requests = Array.from({ length: 64 }, (_, index) => ({ target, requestId: `r-${index}` }));
    const begun = call(served, method.batchRender, { requests });
    let turns = 0;
    const count = () => {
      turns += 1;
      if (rendered.length < requests.length) setImmediate(count);
    };
    setImmediate(count);
    await begun;
    assert.ok(turns <= 1, String(turns));
  });

  it('what holds up the event loop for 10 ms makes the rest of its batch wait for another turn', async () => {
    const requests = [1, 2, 3].map((index) => ({ target, tenant: 'costly', requestId: `r-${index}` }));
    const begun = call(served, method.batchRender, { requests });
    const seen: number[] = [];
    const look = () => {
      seen.push(rendered.length);
      if (rendered.length < requests.length) setImmediate(look);
    };
    setImmediate(look);
    await begun;
    assert.deepEqual(seen, [2]);
  });

  it('those of a batch whose caller has gone meanwhile are not rendered', async () => {
    const gone = new AbortController();
    const requests = [1, 2, 3].map(() => ({ target, tenant: 'costly' }));
    const begun = call(served, method.batchRender, { requests }, { signal: gone.signal });
    gone.abort(new Cancelled());
    const { outcomes } = await begun;
    assert.deepEqual([rendered.length, outcomes.map(told)], [1, ['', 'CANCELLED', 'CANCELLED']]);
  });

  it('the texts of a batch have 16 MiB together; what comes to more fails, and leaves no receipt', async () => {
    const requests = ['half', 'more', 'half', 'little'].map((tenant) => ({ target, tenant, requestId: tenant }));
    const { outcomes } = await call(served, method.batchRender, { requests });
    assert.deepEqual(outcomes.map(told), ['half', 'INVALID_ARGUMENT', 'half', 'INVALID_ARGUMENT']);
    const { message } = outcomes[1]!.outcome.value as Status;
    assert.equal(message, 'what this batch renders has more than 16777216 bytes of UTF-8; send several batches');
  });

  it('one of a stream without a request is an empty one', async () => {
    const handle = served.exchanges.get(method.renderStream)!;
    const request = overTheWire(method.renderStream.input, { id: 7 });
    const answer = await handle(callOf(method.renderStream), request);
    const { id, outcome } = overTheWire(method.renderStream.output, answer as object);
    assert.deepEqual([id, outcome!.outcome.case, rendered[0]!.input.target], [7, 'response', undefined]);
  });

  it('one of a stream has the time that a call without a deadline has, or what is left of its stream', async () => {
    const handle = served.exchanges.get(method.renderStream)!;
    const request = overTheWire(method.renderStream.input, { id: 7, request: { target, requestId: 'r-1' } });
    const before = Date.now();
    const answer = await handle(callOf(method.renderStream, { caller: 'key:1', traceId: 't' }), request);
    const { id, outcome } = overTheWire(method.renderStream.output, answer as object);
    assert.deepEqual([id, told(outcome!)], [7, 'r-1']);
    await handle(callOf(method.renderStream, { deadline: before + 10 }), request);
    const [first, second] = rendered as [(typeof rendered)[0], (typeof rendered)[0]];
    assert.ok(first.by.deadline! >= before + 30_000 && first.by.deadline! <= Date.now() + 30_000);
    assert.equal(second.by.deadline, before + 10);
    assert.deepEqual([first.by.caller, first.by.traceId], ['key:1', 't']);
  });
});

describe('Preview reports instead of failing', () => {
  const previewed: { by: WorkCall; input: PreviewInput }[] = [];
  const previews = partOf<PreviewService>({
    preview: async (by, input) => {
      previewed.push({ by, input });
      if (input.subject === undefined) {
        throw new InvalidInput([{ field: 'subject', reason: 'REQUIRED', description: 'name what to preview' }]);
      }
      return {
        ...ANSWER,
        renderable: true,
        constraintsHash: '',
        placeholdersHash: '',
        messagesHash: '',
        missingVariables: [],
        unusedVariables: [],
        invalidVariables: [],
        untrustedVariables: [],
        characters: 5,
        words: 1,
        tokens: undefined,
        pins: [],
      };
    },
  });
  const served = renderHandlers(partOf<RendererService>({}), previews, NO_OUTPUTS, NO_ROUTES, TELEMETRY);

  it('Preview shows what the request names, until the deadline', async () => {
    const deadline = 1_800_000_000_000;
    const { signal } = new AbortController();
    const request = { subject: { case: 'bundleDraft', value: 'welcome' } } as const;
    const answer = await call(served, method.preview, request, { deadline, signal });
    const { by, input } = previewed.pop()!;
    assert.deepEqual(input.subject, { kind: 'bundleDraft', id: 'welcome' });
    assert.deepEqual([by.deadline, by.signal], [deadline, signal]);
    assert.equal(answer.text, 'Hello');
    assert.equal(answer.characters, 5);
    assert.equal(answer.tokens, undefined);
  });

  it('Preview tells all that is wrong with a request at once', async () => {
    const placeholders = { history: { messages: [{ role: Role.UNSPECIFIED }] } };
    assert.deepEqual(await refusal(call(served, method.preview, { placeholders })), [
      'placeholders.history.messages[0].role UNSPECIFIED',
      'subject REQUIRED',
    ]);
  });
});

describe('CheckOutput enforces the constraints', () => {
  const checked: { by: WorkCall; input: OutputCheckInput }[] = [];
  const outputs = partOf<OutputCheckService>({
    check: async (by, input) => {
      checked.push({ by, input });
      const violations = [
        { constraintId: 'len', severity: 'ERROR', message: 'too long', place: undefined, jsonPointer: '' } as const,
      ];
      return { passed: false, violations, violationCount: 1, tenant: 'acme', bundleHash: '', constraintsHash: '' };
    },
  });
  const served = renderHandlers(partOf<RendererService>({}), partOf<PreviewService>({}), outputs, NO_ROUTES, TELEMETRY);

  it('CheckOutput judges what the request holds, until the deadline', async () => {
    const deadline = 1_800_000_000_000;
    const { signal } = new AbortController();
    const request = { bundleId: 'welcome', version: '1.0.0', output: 'Hi' };
    const answer = await call(served, method.checkOutput, request, { deadline, signal });
    assert.deepEqual(answer.violations.map(({ constraintId }) => constraintId), ['len']);
    const { by, input } = checked.pop()!;
    assert.deepEqual(input, { tenant: 'default', ...request });
    assert.deepEqual([by.deadline, by.signal], [deadline, signal]);
  });
});

describe('A route can be explained', () => {
  const explained: RouteInput[] = [];
  const routes = partOf<RouteService>({
    explain: (input, violations) => {
      if (input.tenant === 'wrong') violations!.add('tenant', 'TOO_LONG', 'as the service finds it');
      violations!.throwIfAny();
      explained.push(input);
      const at = { seq: 9, chainHash: 'c9', verifiedTime: new Date(0), channel: 'production', answer: undefined };
      const step = { tenant: 'acme', finding: 'NO_BUNDLE', bundleId: 'welcome', revision: 0 } as const;
      return { ...at, source: 'FALLBACK', steps: [step] };
    },
  });
  const served = renderHandlers(partOf<RendererService>({}), partOf<PreviewService>({}), NO_OUTPUTS, routes, TELEMETRY);

  it('ExplainRoute explains what the request names', async () => {
    const request = { tenant: 'acme', target: { case: 'bundleId', value: 'welcome' } } as const;
    const answer = await call(served, method.explainRoute, request);
    assert.deepEqual(explained.pop(), { tenant: 'acme', target: { bundleId: 'welcome' }, channel: '' });
    assert.equal(answer.seq, 9n);
    assert.deepEqual(answer.steps.map(({ bundleId }) => bundleId), ['welcome']);
  });

  it('ExplainRoute tells all that is wrong with a request at once', async () => {
    const target = { case: 'type', value: PromptType.UNSPECIFIED } as const;
    assert.deepEqual(await refusal(call(served, method.explainRoute, { tenant: 'wrong', target })), [
      'type UNSPECIFIED',
      'tenant TOO_LONG',
    ]);
    assert.deepEqual(explained, []);
  });
});
