import assert from 'node:assert/strict';
import {
  bundleDocument,
  normalizeBundleDraft,
  parseBundleDocument,
  templateRefs,
  type UncheckedBundleDraft,
  type UncheckedSection,
} from '../../../src/domain/bundle.ts';
import { sha256 } from '../../../src/domain/document.ts';
import { bundle, bundleDraft } from '../../support/drafts.ts';
import { refusalsOf } from '../../support/violations.ts';

function refusals(given: Partial<UncheckedBundleDraft>): string[] {
  return refusalsOf((violations) => normalizeBundleDraft(violations, 'draft', bundleDraft(given)));
}

const HELLO = { templateId: 'hello', version: '^1.0' };
const SYSTEM: UncheckedSection = { template: HELLO, role: 'SYSTEM' };
const HISTORY: UncheckedSection = { placeholder: 'history' };

describe('A section is a template with a role or a placeholder', () => {
  it('placeholders only, or nothing', () => {
    assert.deepEqual(refusals({ sections: [HISTORY] }), ['draft.sections REQUIRED']);
    assert.deepEqual(refusals({ sections: [] }), ['draft.sections REQUIRED']);
  });

  it('a personality or one template is enough', () => {
    assert.deepEqual(refusals({ sections: [HISTORY], personality: HELLO }), []);
    assert.deepEqual(refusals({ sections: [HISTORY, SYSTEM] }), []);
  });

  it('placeholder twice', () => {
    assert.deepEqual(refusals({ sections: [SYSTEM, HISTORY, SYSTEM, HISTORY] }), [
      'draft.sections[3].placeholder DUPLICATE',
    ]);
  });

  it('each part is checked', () => {
    const sections: UncheckedSection[] = [
      undefined,
      { template: { templateId: 'Bad', version: 'latest' }, role: '' },
      { placeholder: 'Bad' },
      { placeholder: '' },
    ];
    assert.deepEqual(refusals({ sections, personality: { templateId: '', version: '' } }), [
      'draft.personality.template_id REQUIRED',
      'draft.personality.version REQUIRED',
      'draft.sections[0] REQUIRED',
      'draft.sections[1].template.template.template_id BAD_FORMAT',
      'draft.sections[1].template.template.version BAD_FORMAT',
      'draft.sections[1].template.role UNSPECIFIED',
      'draft.sections[2].placeholder BAD_FORMAT',
      'draft.sections[3].placeholder REQUIRED',
    ]);
  });
});

describe('A bundle is bounded', () => {
  it('one too many of each', () => {
    const sections = Array.from({ length: 65 }, () => SYSTEM);
    const constraints = Array.from({ length: 101 }, (_, index) => ({
      id: `c${index}`,
      severity: 'ERROR' as const,
      instruction: '',
      rule: { kind: 'max_words' as const, value: 9 },
    }));
    assert.deepEqual(refusals({ sections, constraints }), ['draft.sections TOO_MANY', 'draft.constraints TOO_MANY']);
  });

  it('64 KiB and 64 levels of model settings, all of them JSON', () => {
    assert.deepEqual(refusals({ modelConfig: { a: 'x'.repeat(65_537) } }), ['draft.model_config TOO_LARGE']);
    assert.deepEqual(refusals({ modelConfig: { a: [Number.NaN] } }), ['draft.model_config.a[0] NOT_FINITE']);
  });

  it('a description of 1,000 characters', () => {
    assert.deepEqual(refusals({ description: 'x'.repeat(1001) }), ['draft.description TOO_LONG']);
  });
});

describe('Documents are stored as exact bytes', () => {
  it('a draft that says the least; empty settings are none', () => {
    const document = bundleDocument('GREETING', bundle({ modelConfig: {} }));
    assert.equal(
      document.text,
      '{"sections":[{"role":"SYSTEM","template_id":"hello","version":"^1.0"}],"type":"GREETING"}',
    );
    assert.equal(document.hash, sha256(document.text));
    assert.deepEqual(parseBundleDocument(document.text), { type: 'GREETING', draft: bundle() });
  });

  it('a personality and no sections', () => {
    const document = bundleDocument('GREETING', bundle({ personality: HELLO, sections: [] }));
    assert.equal(
      document.text,
      '{"personality":{"template_id":"hello","version":"^1.0"},"sections":[],"type":"GREETING"}',
    );
  });

  it('a draft that says all there is, and what is read from it', () => {
    const draft = bundle({
      personality: { templateId: 'voice', version: '1.2.3' },
      sections: [SYSTEM, HISTORY, { template: HELLO, role: 'USER' }],
      constraints: [
        { id: 'b', severity: 'ERROR', instruction: 'Short.', rule: { kind: 'max_chars', value: 9 } },
        { id: 'a', severity: 'WARNING', instruction: '', rule: { kind: 'forbidden_phrases', value: ['y', 'x'] } },
      ],
      modelConfig: { temperature: 0.5, model: 'm', stop: null },
      description: ' What\r\nit is for. ',
    });
    const document = bundleDocument('HANDOFF', draft);
    assert.equal(
      document.text,
      '{"constraints":[{"forbidden_phrases":["x","y"],"id":"a","severity":"WARNING"},' +
        '{"id":"b","instruction":"Short.","max_chars":9,"severity":"ERROR"}],"description":"What\\nit is for.",' +
        '"model_config":{"model":"m","stop":null,"temperature":0.5},' +
        '"personality":{"template_id":"voice","version":"1.2.3"},"sections":[{"role":"SYSTEM","template_id":"hello",' +
        '"version":"^1.0"},{"placeholder":"history"},{"role":"USER","template_id":"hello","version":"^1.0"}],' +
        '"type":"HANDOFF"}',
    );
    assert.deepEqual(parseBundleDocument(document.text), { type: 'HANDOFF', draft });
  });
});

describe('Publishing pins version ranges', () => {
  it('the personality first, then the template sections in order', () => {
    const voice = { templateId: 'voice', version: '1.2.3' };
    assert.deepEqual(templateRefs(bundle({ personality: voice, sections: [SYSTEM, HISTORY, SYSTEM] })), [
      voice,
      HELLO,
      HELLO,
    ]);
    assert.deepEqual(templateRefs(bundle()), [HELLO]);
  });
});
