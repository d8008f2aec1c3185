import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Violations } from '../../../../src/domain/errors.ts';
import { normalizeTemplateDraft, templateDocument } from '../../../../src/domain/template.ts';
import { valueOf } from '../../../../src/rpc/mapping/struct.ts';
import { readTemplateDraft, writeTemplate, writeTemplateVersion } from '../../../../src/rpc/mapping/template.ts';
import type { DraftRecord } from '../../../../src/services/stores.ts';
import {
  PromptType,
  TemplateDraftSchema,
  TemplateSchema,
  TemplateSyntax,
  TemplateVersionSchema,
  VariableType,
} from '../../../../gen/platen/v1/resources_pb.js';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

const CREATED = new Date('2026-03-01T12:00:00.123Z');
const UPDATED = new Date('2026-03-02T12:00:00.456Z');

const DRAFT: MessageInitShape<typeof TemplateDraftSchema> = {
  syntax: TemplateSyntax.FORMAT,
  content: 'Hello {name}, {{literally}}: {mood}, {pages}',
  variables: [
    {
      name: 'mood',
      type: VariableType.ENUM,
      default: valueOf('calm'),
      description: 'Tone',
      enumValues: ['calm', 'loud'],
    },
    { name: 'name', type: VariableType.STRING, required: true, maxLength: 40, pattern: '[A-Z].*' },
    { name: 'pages', type: VariableType.LIST, default: valueOf([1, { a: null }]), untrusted: true },
  ],
  description: 'Says hello',
  allowLiteralBraces: true,
};

/** What a service would keep of the draft. */
function recordOf(draft: MessageInitShape<typeof TemplateDraftSchema>): DraftRecord {
  const violations = new Violations();
  const read = readTemplateDraft(overTheWire(TemplateDraftSchema, draft));
  const normalized = normalizeTemplateDraft(violations, 'draft', read);
  violations.throwIfAny();
  return {
    tenant: 'acme',
    id: 'hello',
    type: 'GREETING',
    editVersion: 4,
    draft: templateDocument('GREETING', normalized),
    latestVersion: '1.2.0',
    createTime: CREATED,
    updateTime: UPDATED,
    updateActor: 'key:1',
    archiveTime: UPDATED,
  };
}

describe('An update replaces the whole draft', () => {
  it('a draft comes back as it was sent', () => {
    const { draft } = overTheWire(TemplateSchema, writeTemplate(recordOf(DRAFT)));
    assert.deepEqual(draft, create(TemplateDraftSchema, DRAFT));
  });

  it('a draft that says no more than its content comes back with its syntax', () => {
    const { draft } = overTheWire(TemplateSchema, writeTemplate(recordOf({ content: 'Hello' })));
    assert.deepEqual(draft, create(TemplateDraftSchema, { syntax: TemplateSyntax.FORMAT, content: 'Hello' }));
  });

  it('a template is answered with all that is kept of it', () => {
    const record = recordOf({ ...DRAFT, variables: [] });
    const template = overTheWire(TemplateSchema, writeTemplate(record));
    assert.deepEqual(unsetFields(TemplateSchema, template), ['draft.variables']);
    assert.equal(template.type, PromptType.GREETING);
    assert.equal(template.draftHash, record.draft.hash);
  });

  it('a template that is not archived has no archive_time', () => {
    const template = overTheWire(TemplateSchema, writeTemplate({ ...recordOf(DRAFT), archiveTime: undefined }));
    assert.equal(template.archiveTime, undefined);
  });
});

describe('LIQUID renders deterministically', () => {
  it('a LIQUID draft comes back as it was sent', () => {
    const liquid = { ...DRAFT, syntax: TemplateSyntax.LIQUID, content: 'Hello {{ name }}, {{ mood }}: {{ pages }}' };
    const { draft } = overTheWire(TemplateSchema, writeTemplate(recordOf(liquid)));
    assert.deepEqual(draft, create(TemplateDraftSchema, liquid));
  });
});

describe('Untrusted values cannot leave their delimiter', () => {
  it('untrusted is part of a declaration, and false where it is not sent', () => {
    const sent = overTheWire(TemplateDraftSchema, { variables: [{ name: 'a', untrusted: true }, { name: 'b' }] });
    assert.deepEqual(readTemplateDraft(sent).variables.map(({ untrusted }) => untrusted), [true, false]);
  });
});

describe('A published version never changes', () => {
  it('a version is answered with its frozen content', () => {
    const { draft: document, ...record } = recordOf(DRAFT);
    const version = overTheWire(
      TemplateVersionSchema,
      writeTemplateVersion({ ...record, version: '1.2.0', document, createActor: 'key:1' }),
    );
    const { content } = version;
    const bare = { ...version, content: { ...content!, variables: [] } };
    assert.deepEqual(unsetFields(TemplateVersionSchema, bare), ['content.variables']);
    assert.deepEqual(content, create(TemplateDraftSchema, DRAFT));
    assert.equal(version.documentHash, document.hash);
  });
});

describe('A declaration must be consistent', () => {
  it('a type or a syntax that is not known is left to the domain, which says where', () => {
    const draft = overTheWire(TemplateDraftSchema, {
      syntax: 9 as TemplateSyntax,
      content: 'Hello',
      variables: [{ name: 'a' }, { name: 'b', type: 99 as VariableType }],
    });
    const violations = new Violations();
    normalizeTemplateDraft(violations, 'draft', readTemplateDraft(draft));
    assert.throws(() => violations.throwIfAny(), (error: { violations: { field: string }[] }) => {
      const fields = error.violations.map(({ field }) => field);
      assert.deepEqual(fields.toSorted(), ['draft.syntax', 'draft.variables[0].type', 'draft.variables[1].type']);
      return true;
    });
  });

  it('a default of no kind is null, and one that is not sent is not there', () => {
    const { variables } = readTemplateDraft(
      overTheWire(TemplateDraftSchema, { variables: [{ name: 'a', default: {} }, { name: 'b' }] }),
    );
    assert.equal(variables[0]?.default, null);
    assert.ok(!('default' in variables[1]!));
  });
});
