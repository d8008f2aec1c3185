import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Violations } from '../../../../src/domain/errors.ts';
import { readPreview, writePreview } from '../../../../src/rpc/mapping/preview.ts';
import { valueOf } from '../../../../src/rpc/mapping/struct.ts';
import { PreviewRequestSchema, PreviewResponseSchema } from '../../../../gen/platen/v1/render_service_pb.js';
import { PromptType, Role } from '../../../../gen/platen/v1/resources_pb.js';
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
    });
    assert.deepEqual(unsetFields(PreviewRequestSchema, request), []);
    assert.deepEqual(readPreview(new Violations(), request), {
      tenant: 'acme',
      subject: { kind: 'bundleDraft', id: 'welcome' },
      variables: { name: 'Ada' },
      placeholders: new Map([['history', [{ role: 'USER', content: 'Hi' }]]]),
      tenantVariables: { brand: 'Acme' },
    });
  });

  it('a request that says nothing is for the service to refuse', () => {
    assert.deepEqual(readPreview(new Violations(), overTheWire(PreviewRequestSchema, {})), {
      tenant: 'default',
      subject: undefined,
      variables: {},
      placeholders: new Map(),
      tenantVariables: {},
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

describe('Preview reports instead of failing', () => {
  it('a preview is answered with all that it found', () => {
    const answer = overTheWire(
      PreviewResponseSchema,
      writePreview({
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
        warnings: [{ code: 'SECTION_EMPTY', subject: 'sections[1]', message: 'dropped' }],
        characters: 12,
        words: 2,
        pins: [{ tenant: 'default', templateId: 'voice', version: '1.2.9' }],
      }),
    );
    assert.deepEqual(unsetFields(PreviewResponseSchema, answer), []);
    assert.equal(answer.constraintsHash, 'd'.repeat(64));
    assert.equal(answer.messagesHash, '0'.repeat(64));
  });
});
