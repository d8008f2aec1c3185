import assert from 'node:assert/strict';
import { InvalidInput } from '../../../../src/domain/errors.ts';
import { renderHandlers } from '../../../../src/rpc/handlers/render-handlers.ts';
import type { WorkCall } from '../../../../src/services/bounded-work.ts';
import type { OutputCheckInput, OutputCheckService } from '../../../../src/services/output-check-service.ts';
import type { PreviewInput, PreviewService } from '../../../../src/services/preview-service.ts';
import type { RenderInput } from '../../../../src/services/render-input.ts';
import type { RenderCall, RendererService } from '../../../../src/services/renderer-service.ts';
import type { RouteInput, RouteService } from '../../../../src/services/route-service.ts';
import { RenderService as RenderRpc, RenderView } from '../../../../gen/platen/v1/render_service_pb.js';
import { PromptType, Role } from '../../../../gen/platen/v1/resources_pb.js';
import { call, partOf, refusal } from '../../../support/handler-call.ts';

const { method } = RenderRpc;
const NO_OUTPUTS = partOf<OutputCheckService>({});
const NO_ROUTES = partOf<RouteService>({});
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
  const served = renderHandlers(renderer, partOf<PreviewService>({}), NO_OUTPUTS, NO_ROUTES);
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
  const served = renderHandlers(partOf<RendererService>({}), previews, NO_OUTPUTS, NO_ROUTES);

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
  const served = renderHandlers(partOf<RendererService>({}), partOf<PreviewService>({}), outputs, NO_ROUTES);

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
  const served = renderHandlers(partOf<RendererService>({}), partOf<PreviewService>({}), NO_OUTPUTS, routes);

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
