import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { bundleDocument, normalizeBundleDraft } from '../../../../src/domain/bundle.ts';
import { documentOf } from '../../../../src/domain/document.ts';
import { Violations } from '../../../../src/domain/errors.ts';
import {
  readBundleDraft,
  writeBundle,
  writeBundleVersion,
  writeListedBundleVersion,
} from '../../../../src/rpc/mapping/bundle.ts';
import type { BundleVersionRecord, DraftRecord } from '../../../../src/services/stores.ts';
import {
  BundleDraftSchema,
  BundleSchema,
  BundleVersionSchema,
  PromptType,
  Role,
  Severity,
} from '../../../../gen/platen/v1/resources_pb.js';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

const CREATED = new Date('2026-03-01T12:00:00.123Z');
const UPDATED = new Date('2026-03-02T12:00:00.456Z');

const DRAFT: MessageInitShape<typeof BundleDraftSchema> = {
  personality: { templateId: 'voice', version: '^1.2' },
  sections: [
    { part: { case: 'template', value: { template: { templateId: 'rules', version: '1.0.0' }, role: Role.USER } } },
    { part: { case: 'placeholder', value: 'history' } },
  ],
  constraints: [
    { id: 'short', severity: Severity.ERROR, instruction: 'Be brief.', rule: { case: 'maxChars', value: 100 } },
  ],
  modelConfig: { model: 'm-1', temperature: 0.2, stop: ['.'] },
  description: 'Greets',
};

/** What a service would keep of the draft. */
function recordOf(draft: MessageInitShape<typeof BundleDraftSchema>): DraftRecord {
  const violations = new Violations();
  const read = readBundleDraft(overTheWire(BundleDraftSchema, draft));
  const normalized = normalizeBundleDraft(violations, 'draft', read);
  violations.throwIfAny();
  return {
    tenant: 'acme',
    id: 'welcome',
    type: 'GREETING',
    editVersion: 4,
    draft: bundleDocument('GREETING', normalized),
    latestVersion: '1.2.0',
    createTime: CREATED,
    updateTime: UPDATED,
    updateActor: 'key:1',
    archiveTime: UPDATED,
  };
}

describe('A section is a template with a role or a placeholder', () => {
  it('a draft comes back as it was sent', () => {
    const bundle = overTheWire(BundleSchema, writeBundle(recordOf(DRAFT)));
    assert.deepEqual(unsetFields(BundleSchema, bundle), []);
    assert.equal(bundle.type, PromptType.GREETING);
    assert.deepEqual(bundle.draft, create(BundleDraftSchema, DRAFT));
  });

  it('a draft of one section and nothing else comes back as it was sent', () => {
    const draft = { sections: DRAFT.sections!.slice(0, 1) };
    const bundle = overTheWire(BundleSchema, writeBundle({ ...recordOf(draft), archiveTime: undefined }));
    assert.deepEqual(bundle.draft, create(BundleDraftSchema, draft));
    assert.equal(bundle.archiveTime, undefined);
  });

  it('a draft that says nothing is read as nothing', () => {
    assert.deepEqual(readBundleDraft(overTheWire(BundleDraftSchema, {})), {
      personality: undefined,
      sections: [],
      constraints: [],
      modelConfig: undefined,
      description: '',
    });
  });

  it('what is left out or not known is for the domain to refuse', () => {
    const { personality, sections } = readBundleDraft(
      overTheWire(BundleDraftSchema, {
        personality: {},
        sections: [
          {},
          { part: { case: 'template', value: {} } },
          { part: { case: 'template', value: { template: { templateId: 'a', version: '1' }, role: 9 as Role } } },
        ],
      }),
    );
    assert.deepEqual(personality, { templateId: '', version: '' });
    assert.deepEqual(sections, [
      undefined,
      { template: { templateId: '', version: '' }, role: '' },
      { template: { templateId: 'a', version: '1' }, role: '' },
    ]);
  });
});

describe('A snapshot is complete and frozen', () => {
  const { draft, latestVersion: version, ...record } = recordOf(DRAFT);
  const published: BundleVersionRecord = {
    ...record,
    version,
    draft,
    snapshot: documentOf({ sections: [] }),
    personalityHash: 'b'.repeat(64),
    constraintsHash: 'c'.repeat(64),
    pins: [{ tenant: 'default', templateId: 'voice', version: '1.2.9' }],
    createActor: 'key:1',
  };

  it('a version is answered with its snapshot, whose hash is the bundle_hash', () => {
    const answered = overTheWire(BundleVersionSchema, writeBundleVersion(published));
    assert.deepEqual(unsetFields(BundleVersionSchema, answered), []);
    assert.equal(answered.canonicalJson, '{"sections":[]}');
    assert.equal(answered.bundleHash, published.snapshot.hash);
    assert.deepEqual(answered.content, create(BundleDraftSchema, DRAFT));
  });

  it('lists leave the snapshot out', () => {
    const listed = overTheWire(BundleVersionSchema, writeListedBundleVersion(published));
    assert.deepEqual(unsetFields(BundleVersionSchema, listed), ['canonical_json']);
  });
});
