import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Violations } from '../../../../src/domain/errors.ts';
import { readPreview, writePreview } from '../../../../src/rpc/mapping/preview.ts';
import { valueOf } from '../../../../src/rpc/mapping/struct.ts';
import {
  PreviewRequestSchema,
  PreviewResponseSchema,
  TokenEncoding,
} from '../../../../gen/platen/v1/render_service_pb.js';
import { PromptType, Role, WarningCode } from '../../../../gen/platen/v1/resources_pb.js';
import type { PreviewResult } from '../../../../src/services/preview-service.ts';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

type Subject = NonNullable<MessageInitShape<typeof PreviewRequestSchema>['subject']>;

function subjectOf(subject: Subject): unknown {
  const violations = new Violations();
  const input = readPreview(violations, overTheWire(PreviewRequestSchema, { subject }));
  violations.throwIfAny();
  return input.subject;
}

describe('Preview renders drafts, versions and unsaved content', () => {
  it('all that a request can say is read', () => {
    const request = overTheWire(PreviewRequestSchema, {
      tenant: 'acme',
      subject: { case: 'bundleDraft', value: 'welcome' },
      variables: { name: valueOf('Ada') },
      placeholders: { history: { messages: [{ role: Role.USER, content: 'Hi' }] } },
      tenantVariables: { brand: valueOf('Acme') },
      tokenEncoding: TokenEncoding.CL100K_BASE,
      tokenBudget: 100,
    });
    assert.deepEqual(unsetFields(PreviewRequestSchema, request), []);
    assert.deepEqual(readPreview(new Violations(), request), {
      tenant: 'acme',
      subject: { kind: 'bundleDraft', id: 'welcome' },
      variables: { name: 'Ada' },
      placeholders: new Map([['history', [{ role: 'USER', content: 'Hi' }]]]),
      tenantVariables: { brand: 'Acme' },
      tokenEncoding: 'CL100K_BASE',
      tokenBudget: 100,
    });
  });

  it('a request that says nothing is for the service to refuse', () => {
    assert.deepEqual(readPreview(new Violations(), overTheWire(PreviewRequestSchema, {})), {
      tenant: 'default',
      subject: undefined,
      variables: {},
      placeholders: new Map(),
      tenantVariables: {},
      tokenEncoding: 'O200K_BASE',
      tokenBudget: 0,
    });
  });

  it('the subject may be a draft, a version or content that is not saved', () => {
    const name = { id: 'welcome', version: '1.0.0' };
    const bundle = { personality: undefined, sections: [], constraints: [], modelConfig: undefined, description: '' };
    const template = { syntax: 'FORMAT', content: 'Hi', variables: [], description: '', allowLiteralBraces: false };
    assert.deepEqual(subjectOf({ case: 'bundleVersion', value: name }), { kind: 'bundleVersion', ...name });
    assert.deepEqual(subjectOf({ case: 'templateVersion', value: name }), { kind: 'templateVersion', ...name });
    assert.deepEqual(subjectOf({ case: 'templateDraft', value: 'hi' }), { kind: 'templateDraft', id: 'hi' });
    assert.deepEqual(subjectOf({ case: 'templateContent', value: { content: 'Hi' } }), {
      kind: 'templateContent',
      draft: template,
    });
    assert.deepEqual(subjectOf({ case: 'bundleContent', value: { type: PromptType.GREETING, draft: {} } }), {
      kind: 'bundleContent',
      type: 'GREETING',
      draft: bundle,
    });
    assert.deepEqual(subjectOf({ case: 'bundleContent', value: {} }), {
      kind: 'bundleContent',
      type: undefined,
      draft: undefined,
    });
  });

  it('a type that the contract does not have is refused', () => {
    assert.throws(
      () => subjectOf({ case: 'bundleContent', value: { type: 99 as PromptType } }),
      /bundle_content\.type: 99 is not a value/,
    );
  });
});

describe('Preview counts tokens', () => {
  it('an encoding that the contract does not have is refused', () => {
    const violations = new Violations();
    readPreview(violations, overTheWire(PreviewRequestSchema, { tokenEncoding: 9 as TokenEncoding }));
    assert.throws(() => violations.throwIfAny(), /token_encoding: 9 is not a value .* O200K_BASE, CL100K_BASE/);
  });
});

describe('Preview reports instead of failing', () => {
  const RESULT: PreviewResult = {
    text: 'Hello {name}',
    messages: [{ role: 'SYSTEM', content: 'Hello {name}' }],
    renderable: true,
    renderedHash: 'a'.repeat(64),
    bundleHash: 'b'.repeat(64),
    personalityHash: 'c'.repeat(64),
    constraintsHash: 'd'.repeat(64),
    variablesHash: 'e'.repeat(64),
    placeholdersHash: 'f'.repeat(64),
    messagesHash: '0'.repeat(64),
    missingVariables: ['name'],
    unusedVariables: ['old'],
    invalidVariables: [{ name: 'age', message: 'must be an INTEGER' }],
    untrustedVariables: [{ name: 'note', rendered: '<untrusted name="note">Hi</untrusted>', removedCharacters: 2 }],
    warnings: [{ code: 'INSTRUCTION_REPEATED', subject: 'Be kind.', message: 'once is enough' }],
    characters: 12,
    words: 2,
    tokens: { encoding: 'CL100K_BASE', text: 4, messages: [4] },
    pins: [{ tenant: 'default', templateId: 'voice', version: '1.2.9' }],
  };

  function answered(result: PreviewResult) {
    return overTheWire(PreviewResponseSchema, writePreview(result));
  }

  it('a preview is answered with all that it found', () => {
    const answer = answered(RESULT);
    assert.deepEqual(unsetFields(PreviewResponseSchema, answer), []);
    assert.equal(answer.constraintsHash, 'd'.repeat(64));
    assert.equal(answer.messagesHash, '0'.repeat(64));
    assert.equal(answer.warnings[0]!.code, WarningCode.INSTRUCTION_REPEATED);
    assert.equal(answer.tokens!.encoding, TokenEncoding.CL100K_BASE);
    assert.deepEqual([answer.tokens!.text, answer.tokens!.messages], [4, [4]]);
    assert.equal(answer.untrustedVariables[0]!.removedCharacters, 2);
  });

  it('tokens that were not counted are unset', () => {
    assert.equal(answered({ ...RESULT, tokens: undefined }).tokens, undefined);
  });
});
