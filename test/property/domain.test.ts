import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileBundle } from '../../src/domain/assembly.ts';
import { bundleDocument, parseBundleDocument } from '../../src/domain/bundle.ts';
import { type ConstraintRule, normalizeConstraints, type UncheckedConstraint } from '../../src/domain/constraint.ts';
import { canonicalJson } from '../../src/domain/document.ts';
import type { Json } from '../../src/domain/json.ts';
import { buildSnapshot, parseSnapshot, snapshotDocument, templateSnapshot } from '../../src/domain/snapshot.ts';
import {
  compileTemplate,
  normalizeTemplateDraft,
  parseTemplateDocument,
  readVariables,
  TEMPLATE_SYNTAXES,
  templateDocument,
} from '../../src/domain/template.ts';
import { normalizeContent, normalizeNote } from '../../src/domain/text.ts';
import type { UncheckedDeclaration } from '../../src/domain/variable-declaration.ts';
import { bundle, declaration, template, templateDraft } from '../support/drafts.ts';
import { accepted } from '../support/violations.ts';

/** Text that may hold anything, above all what normalization is about. */
const special = fc.constantFrom('\uFEFF', '\r', '\n', 'e\u0301', 'é', '{', '}', ' ', 'ﬁ', '😀');
const text = fc.array(fc.oneof(special, fc.string({ unit: 'grapheme' }))).map((parts) => parts.join(''));

const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,5}$/);

const json = fc.jsonValue({ maxDepth: 3 }).filter((value) => value !== null) as fc.Arbitrary<NonNullable<Json>>;

const declarations: fc.Arbitrary<UncheckedDeclaration[]> = fc.uniqueArray(
  fc.oneof(
    fc.record({ name, required: fc.boolean() }).map((given) => declaration(given)),
    fc.record({ name, default: fc.string({ unit: 'grapheme' }) }).map((given) => declaration(given)),
    fc.record({ name, default: json.filter(Array.isArray) }).map((given) => declaration({ ...given, type: 'LIST' })),
    fc
      .record({ name, enumValues: fc.uniqueArray(name, { minLength: 1 }) })
      .map((given) => declaration({ ...given, type: 'ENUM' })),
  ),
  { selector: (each) => each.name, minLength: 1, maxLength: 8 },
);

/** A list, and the same in another order. */
function shuffled<T>(lists: fc.Arbitrary<T[]>): fc.Arbitrary<[T[], T[]]> {
  return lists.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
  );
}

/** FORMAT content as a person would take it apart: the naive reference. */
type Piece = { readonly literal: string } | { readonly name: string };

const pieces: fc.Arbitrary<Piece[]> = fc.array(
  fc.oneof(
    fc.record({ literal: fc.oneof(fc.string(), fc.constantFrom('{', '}', '{a}', '{{', '"ok": {}')) }),
    fc.record({ name }),
  ),
);

function written(list: readonly Piece[]): string {
  return list
    .map((piece) => ('name' in piece ? `{${piece.name}}` : piece.literal.replaceAll('{', '{{').replaceAll('}', '}}')))
    .join('');
}

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

  it('a normalized draft is its own normal form, and is what its document holds', () => {
    fc.assert(
      fc.property(text, declarations, fc.constantFrom(...TEMPLATE_SYNTAXES), (raw, variables, syntax) => {
        const content = `x${syntax === 'LITERAL' ? raw : raw.replace(/[{}]/g, '')}`;
        const draft = template({ syntax, content, variables, description: raw });
        const again = accepted((violations) => normalizeTemplateDraft(violations, 'draft', draft));
        assert.deepEqual(again, draft);
        assert.deepEqual(parseTemplateDocument(templateDocument('GREETING', draft).text).draft, draft);
      }),
    );
  });
});

describe('FORMAT replaces names in braces', () => {
  it('a compiled template agrees with replacing one piece after the other', () => {
    fc.assert(
      fc.property(pieces, fc.dictionary(name, text), (list, values) => {
        const texts = new Map(Object.entries(values));
        const expected = list
          .map((piece) => ('name' in piece ? (texts.get(piece.name) ?? '') : piece.literal))
          .join('');
        const compiled = compileTemplate('FORMAT', written(list));
        assert.equal(compiled.render(texts), expected);
        assert.equal(compiled.bytes(texts), Buffer.byteLength(expected));
      }),
    );
  });

  it('text that is escaped reads no variables and renders as it was', () => {
    fc.assert(
      fc.property(text, (raw) => {
        const escaped = written([{ literal: raw }]);
        assert.deepEqual(readVariables('FORMAT', escaped), []);
        assert.equal(compileTemplate('FORMAT', escaped).render(new Map()), raw);
      }),
    );
  });

  it('whatever is not refused is read the same by whoever comes later', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('{', '}', 'a', ' ', '\n') }), (raw) => {
        const draft = templateDraft({ content: `x${raw}`, allowLiteralBraces: true });
        let content: string;
        try {
          ({ content } = accepted((violations) => normalizeTemplateDraft(violations, 'draft', draft)));
        } catch {
          return;
        }
        const names = content.replaceAll('{{', '').match(/\{a+\}/g) ?? [];
        assert.deepEqual(new Set(readVariables('FORMAT', content)), new Set(names.map((each) => each.slice(1, -1))));
      }),
    );
  });
});

describe('Equal content has equal bundle hashes', () => {
  it('the order of declarations and of enum values never changes a hash', () => {
    fc.assert(
      fc.property(shuffled(declarations), ([one, other]) => {
        const turned = other.map((each) => ({ ...each, enumValues: [...each.enumValues].toReversed() }));
        const [first, second] = [template({ variables: one }), template({ variables: turned })];
        assert.equal(templateDocument('GREETING', first).hash, templateDocument('GREETING', second).hash);
        assert.equal(snapshotDocument(templateSnapshot(first)).hash, snapshotDocument(templateSnapshot(second)).hash);
      }),
    );
  });

  it('nor does the order of templates that declare the same, as far as variables go', () => {
    fc.assert(
      fc.property(shuffled(declarations), ([one, other]) => {
        const draft = bundle({
          personality: { templateId: 'a', version: '1.0.0' },
          sections: [{ template: { templateId: 'b', version: '1.0.0' }, role: 'SYSTEM' }],
        });
        const templates = [template({ variables: one }), template({ variables: other })];
        const build = (list: typeof templates) => accepted((violations) => buildSnapshot(violations, draft, list));
        assert.equal(snapshotDocument(build(templates)).hash, snapshotDocument(build(templates.toReversed())).hash);
      }),
    );
  });

  const phrases = fc.array(fc.stringMatching(/^[ a-c]{0,4}x[ a-c]{0,4}$/), { minLength: 1, maxLength: 5 });
  const rules: fc.Arbitrary<ConstraintRule> = fc.oneof(
    fc.integer({ min: 1, max: 9 }).map((value) => ({ kind: 'max_words' as const, value })),
    phrases.map((value) => ({ kind: 'required_phrases' as const, value })),
    fc.constantFrom('a+', '\\d', 'x|y').map((value) => ({ kind: 'forbidden_pattern' as const, value })),
  );
  const constraints: fc.Arbitrary<UncheckedConstraint[]> = fc.uniqueArray(
    fc.record({
      id: fc.stringMatching(/^[a-z]{1,3}$/),
      severity: fc.constantFrom('ERROR' as const, 'WARNING' as const),
      instruction: text,
      rule: rules,
    }),
    { selector: ({ id }) => id, maxLength: 6 },
  );

  it('nor the order of constraints, and they are their own normal form', () => {
    fc.assert(
      fc.property(shuffled(constraints), ([one, other]) => {
        const [first, second] = [bundle({ constraints: one }), bundle({ constraints: other })];
        const document = bundleDocument('GREETING', first);
        assert.equal(document.hash, bundleDocument('GREETING', second).hash);
        assert.deepEqual(parseBundleDocument(document.text).draft, first);
        const again = accepted((violations) => normalizeConstraints(violations, 'c', first.constraints));
        assert.deepEqual(again, first.constraints);
      }),
    );
  });

  it('a snapshot that is read is written with the same bytes', () => {
    fc.assert(
      fc.property(declarations, text, (variables, content) => {
        const draft = template({ syntax: 'LITERAL', content: `x${content}`, variables });
        const { text: bytes } = snapshotDocument(templateSnapshot(draft));
        assert.equal(snapshotDocument(parseSnapshot(bytes)).text, bytes);
        assert.equal(canonicalJson(JSON.parse(bytes) as Json), bytes);
      }),
    );
  });
});

describe('Values are inserted verbatim', () => {
  it('whatever a value holds, the text holds', () => {
    const { variables, assemble } = compileBundle(snapshotDocument(templateSnapshot(template({ content: '<{a}>' }))));
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        const { texts, values } = variables.resolve({}, { a: value });
        assert.equal(assemble(texts, new Map()).text, `<${value}>`);
        assert.deepEqual(values, { a: value });
      }),
    );
  });
});
