import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  bundleDocument,
  normalizeBundleDraft,
  parseBundleDocument,
  type UncheckedBundleDraft,
} from '../../src/domain/bundle.ts';
import { normalizeConstraints } from '../../src/domain/constraint.ts';
import { canonicalJson } from '../../src/domain/document.ts';
import type { Json } from '../../src/domain/json.ts';
import { parseSnapshot, snapshotDocument, templateSnapshot } from '../../src/domain/snapshot.ts';
import {
  normalizeTemplateDraft,
  parseTemplateDocument,
  templateDocument,
  type UncheckedTemplateDraft,
} from '../../src/domain/template.ts';
import { readVariables } from '../../src/domain/template-content.ts';
import { parseTenantDocument, tenantDocument } from '../../src/domain/tenant.ts';
import { normalizeContent, normalizeNote } from '../../src/domain/text.ts';
import { constraints, declarations, declared, jsonObject, name, prose, text } from '../support/arbitraries.ts';
import { bundle, declaration, template, templateDraft } from '../support/drafts.ts';
import { liquidTemplates } from '../support/liquid-arbitraries.ts';
import { written } from '../support/liquid-tree.ts';
import { accepted } from '../support/violations.ts';

/** An untrusted variable, and what LIQUID content may do with it. */
const SECRET = declaration({ name: 'secret', untrusted: true });
const SECRET_USE = '{{ secret }}{% if secret contains "x" %}x{% endif %}';

const format = fc.tuple(prose, declarations, prose).map(([before, variables, behind]) => {
  const places = variables.map((each) => `{${each.name}}`).join(' ');
  return templateDraft({ content: `${before}x {{ }} ${places}${behind}`, variables });
});

const literal = fc.tuple(text, declarations).map(([raw, variables]) => {
  return templateDraft({ syntax: 'LITERAL', content: `${raw}x`, variables });
});

const liquid = fc.tuple(prose, liquidTemplates).chain(([before, nodes]) => {
  const content = `${before}x${SECRET_USE}${written(nodes)}`;
  const names = readVariables('LIQUID', content).filter((each) => each !== SECRET.name);
  return fc.tuple(...names.map(declared)).map((variables) => {
    const trusted = variables.map((each) => ({ ...each, untrusted: false }));
    return templateDraft({ syntax: 'LIQUID', content, variables: [SECRET, ...trusted] });
  });
});

const templateDrafts: fc.Arbitrary<UncheckedTemplateDraft> = fc
  .tuple(fc.oneof(format, literal, liquid), text, fc.boolean())
  .map(([draft, description, allowLiteralBraces]) => ({ ...draft, description, allowLiteralBraces }));

const ref = fc
  .tuple(name, fc.constantFrom('1.0.0', '^2', '~1.2'))
  .map(([id, version]) => ({ templateId: `t${id}t`, version }));
const section = fc.record({ template: ref, role: fc.constantFrom('SYSTEM', 'USER', 'ASSISTANT', 'TOOL') });
const bundleDrafts: fc.Arbitrary<UncheckedBundleDraft> = fc
  .record({
    personality: fc.option(ref, { nil: undefined }),
    first: section,
    sections: fc.array(section, { maxLength: 4 }),
    placeholders: fc.uniqueArray(name, { maxLength: 3 }),
    constraints,
    modelConfig: fc.option(jsonObject, { nil: undefined }),
    description: text,
  })
  .map(({ first, sections, placeholders, ...rest }) => {
    const named = placeholders.map((placeholder) => ({ placeholder }));
    return { ...rest, sections: [first, ...named, ...sections] as UncheckedBundleDraft['sections'] };
  });

describe('Template content is stored normalized', () => {
  it('normalizing twice is normalizing once', () => {
    fc.assert(
      fc.property(text, (raw) => {
        for (const normalize of [normalizeContent, normalizeNote]) {
          assert.equal(normalize(normalize(raw)), normalize(raw));
        }
      }),
    );
  });

  it('a normalized draft is its own normal form, whatever its syntax', () => {
    fc.assert(
      fc.property(templateDrafts, (raw) => {
        const draft = template(raw);
        assert.deepEqual(accepted((violations) => normalizeTemplateDraft(violations, 'draft', draft)), draft);
      }),
    );
  });
});

describe('Constraints are normalized on insert', () => {
  it('normalized constraints are their own normal form', () => {
    fc.assert(
      fc.property(constraints, (raw) => {
        const normal = accepted((violations) => normalizeConstraints(violations, 'c', raw));
        assert.deepEqual(accepted((violations) => normalizeConstraints(violations, 'c', normal)), normal);
      }),
    );
  });

  it('so is the draft that holds them', () => {
    fc.assert(
      fc.property(bundleDrafts, (raw) => {
        const draft = bundle(raw);
        assert.deepEqual(accepted((violations) => normalizeBundleDraft(violations, 'draft', draft)), draft);
      }),
    );
  });
});

describe('Documents are stored as exact bytes', () => {
  it('a template is read back as it was, and written with the same bytes', () => {
    fc.assert(
      fc.property(templateDrafts, (raw) => {
        const draft = template(raw);
        const document = templateDocument('GREETING', draft);
        const read = parseTemplateDocument(document.text);
        assert.deepEqual(read, { type: 'GREETING', draft });
        assert.deepEqual(templateDocument(read.type, read.draft), document);
      }),
    );
  });

  it('so is a bundle', () => {
    fc.assert(
      fc.property(bundleDrafts, (raw) => {
        const draft = bundle(raw);
        const document = bundleDocument('FAREWELL', draft);
        const read = parseBundleDocument(document.text);
        assert.deepEqual(read, { type: 'FAREWELL', draft });
        assert.deepEqual(bundleDocument(read.type, read.draft), document);
      }),
    );
  });

  it('so is a tenant with its variables', () => {
    const tenants = fc.record({
      parent: fc.constantFrom('', 'default'),
      displayName: text,
      variables: jsonObject,
      capturePolicy: fc.constantFrom('FULL' as const, 'VARIABLES' as const, 'HASH_ONLY' as const),
      receiptRetentionDays: fc.nat({ max: 36_500 }),
    });
    fc.assert(
      fc.property(tenants, (content) => {
        const document = tenantDocument(content);
        const read = parseTenantDocument(document.text);
        assert.equal(canonicalJson(read.variables), canonicalJson(content.variables));
        assert.deepEqual({ ...read, variables: {} }, { ...content, variables: {} });
        assert.deepEqual(tenantDocument(read), document);
      }),
    );
  });

  it('so is a snapshot', () => {
    fc.assert(
      fc.property(templateDrafts, (raw) => {
        const { text: bytes } = snapshotDocument(templateSnapshot(template(raw)));
        assert.equal(snapshotDocument(parseSnapshot(bytes)).text, bytes);
        assert.equal(canonicalJson(JSON.parse(bytes) as Json), bytes);
      }),
    );
  });
});
