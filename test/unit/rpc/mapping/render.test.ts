import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Violations } from '../../../../src/domain/errors.ts';
import { readRender, writeRender } from '../../../../src/rpc/mapping/render.ts';
import { valueOf } from '../../../../src/rpc/mapping/struct.ts';
import type { RenderResult } from '../../../../src/services/renderer-service.ts';
import {
  RenderRequestSchema,
  RenderResponseSchema,
  RenderSource,
  RenderView,
} from '../../../../gen/platen/v1/render_service_pb.js';
import { PromptType, Role } from '../../../../gen/platen/v1/resources_pb.js';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

function read(request: MessageInitShape<typeof RenderRequestSchema>): ReturnType<typeof readRender> {
  const violations = new Violations();
  const input = readRender(violations, overTheWire(RenderRequestSchema, request));
  violations.throwIfAny();
  return input;
}

describe('A render request names exactly one target', () => {
  it('a bundle, with all that a request can say', () => {
    const request = {
      tenant: 'acme',
      target: { case: 'bundle', value: { bundleId: 'welcome', selector: { case: 'version', value: '1.0.0' } } },
      channel: 'beta',
      variables: { name: valueOf('Ada') },
      placeholders: { history: { messages: [{ role: Role.USER, content: 'Hi' }] } },
      minSeq: 42n,
      requestId: 'r-1',
      labels: { chat: 'c-1' },
      fallbackText: 'Hello',
      view: RenderView.FULL,
    } as const satisfies MessageInitShape<typeof RenderRequestSchema>;
    assert.deepEqual(unsetFields(RenderRequestSchema, overTheWire(RenderRequestSchema, request)), []);
    assert.deepEqual(read(request), {
      tenant: 'acme',
      target: { bundleId: 'welcome', version: '1.0.0', channel: undefined },
      channel: 'beta',
      variables: { name: 'Ada' },
      placeholders: new Map([['history', [{ role: 'USER', content: 'Hi' }]]]),
      minSeq: 42,
      requestId: 'r-1',
      labels: { chat: 'c-1' },
      fallbackText: 'Hello',
    });
  });

  it('a bundle on a channel, or on none', () => {
    const channel = { bundleId: 'welcome', selector: { case: 'channel', value: 'beta' } } as const;
    assert.deepEqual(read({ target: { case: 'bundle', value: channel } }).target, {
      bundleId: 'welcome',
      version: undefined,
      channel: 'beta',
    });
    assert.deepEqual(read({ target: { case: 'bundle', value: { bundleId: 'welcome' } } }).target, {
      bundleId: 'welcome',
      version: undefined,
      channel: undefined,
    });
  });

  it('a type', () => {
    assert.deepEqual(read({ target: { case: 'type', value: PromptType.HANDOFF } }).target, { type: 'HANDOFF' });
  });

  it('nothing at all is for the service to refuse', () => {
    assert.deepEqual(read({}), {
      tenant: 'default',
      target: undefined,
      channel: '',
      variables: {},
      placeholders: new Map(),
      minSeq: 0,
      requestId: '',
      labels: {},
      fallbackText: '',
    });
  });

  it('an unspecified type and a number that the contract does not have are refused, all at once', () => {
    assert.throws(() => read({ target: { case: 'type', value: PromptType.UNSPECIFIED } }), /type: a value is required/);
    assert.throws(
      () => read({ target: { case: 'type', value: 99 as PromptType }, view: 9 as RenderView }),
      /view: 9 is not a value .*; type: 99 is not a value/,
    );
  });
});

const RESULT: RenderResult = {
  renderId: '01920000-0000-7000-8000-000000000000',
  text: 'Hello Ada',
  messages: [{ role: 'SYSTEM', content: 'Hello Ada' }],
  renderedHash: 'a'.repeat(64),
  bundleHash: 'b'.repeat(64),
  personalityHash: 'c'.repeat(64),
  variablesHash: 'd'.repeat(64),
  tenant: 'acme',
  bundleId: 'welcome',
  version: '1.0.0',
  channel: 'production',
  revision: 3,
  seq: 42,
  source: 'INHERITED',
  modelConfig: Object.freeze({ model: 'm-1' }),
  constraints: [{ id: 'short', severity: 'ERROR', instruction: 'Be brief.', rule: { kind: 'max_words', value: 9 } }],
  warnings: [{ code: 'VARIABLE_UNDECLARED', subject: 'x', message: 'x is not declared' }],
};

/** The fields that the view leaves out. */
function unset(view: RenderView): string[] {
  return unsetFields(RenderResponseSchema, overTheWire(RenderResponseSchema, writeRender(RESULT, view)));
}

describe('The view decides how much of the answer is filled', () => {
  it('FULL fills everything', () => {
    assert.deepEqual(unset(RenderView.FULL), []);
  });

  it('TEXT, and no view, leave out messages and constraints', () => {
    assert.deepEqual(unset(RenderView.TEXT), ['messages', 'constraints']);
    assert.deepEqual(unset(RenderView.UNSPECIFIED), ['messages', 'constraints']);
  });

  it('MESSAGES leaves out text and constraints', () => {
    assert.deepEqual(unset(RenderView.MESSAGES), ['text', 'constraints']);
  });
});

describe('An answer carries what identifies it', () => {
  it('hashes, place and source are those of the render', () => {
    const answer = overTheWire(RenderResponseSchema, writeRender(RESULT, RenderView.FULL));
    assert.equal(answer.renderId, RESULT.renderId);
    assert.equal(answer.renderedHash, RESULT.renderedHash);
    assert.equal(answer.bundleHash, RESULT.bundleHash);
    assert.equal(answer.personalityHash, RESULT.personalityHash);
    assert.equal(answer.variablesHash, RESULT.variablesHash);
    assert.equal(answer.source, RenderSource.INHERITED);
    assert.equal(answer.seq, 42n);
    assert.deepEqual(answer.modelConfig, { model: 'm-1' });
  });

  it('a bundle without settings has no model_config', () => {
    const result = { ...RESULT, modelConfig: undefined };
    const answer = overTheWire(RenderResponseSchema, writeRender(result, RenderView.TEXT));
    assert.equal(answer.modelConfig, undefined);
  });
});
