import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileBundle } from '../../src/domain/assembly.ts';
import { snapshotDocument, templateSnapshot } from '../../src/domain/snapshot.ts';
import { TemplateValues } from '../../src/domain/template-values.ts';
import { normalizeTemplateDraft } from '../../src/domain/template.ts';
import { compileTemplate, readVariables } from '../../src/domain/template-content.ts';
import { hostile, name, text } from '../support/arbitraries.ts';
import { template, templateDraft } from '../support/drafts.ts';
import { given } from '../support/given.ts';
import { accepted } from '../support/violations.ts';

const TRUSTED = new Set<string>();

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

describe('FORMAT replaces names in braces', () => {
  it('a compiled template agrees with replacing one piece after the other', () => {
    fc.assert(
      fc.property(pieces, fc.dictionary(name, text), (list, values) => {
        const texts = new Map(Object.entries(values));
        const expected = list
          .map((piece) => ('name' in piece ? (texts.get(piece.name) ?? '') : piece.literal))
          .join('');
        assert.equal(compileTemplate('FORMAT', written(list), TRUSTED)(new TemplateValues(given(values))), expected);
      }),
    );
  });

  it('text that is escaped reads no variables and renders as it was', () => {
    fc.assert(
      fc.property(fc.oneof(text, hostile), (raw) => {
        const escaped = written([{ literal: raw }]);
        assert.deepEqual(readVariables('FORMAT', escaped), []);
        assert.equal(compileTemplate('FORMAT', escaped, TRUSTED)(new TemplateValues(given())), raw);
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

describe('Values are inserted verbatim', () => {
  it('whatever a value holds, the text holds', () => {
    const { variables, assemble } = compileBundle(snapshotDocument(templateSnapshot(template({ content: '<{a}>' }))));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), hostile), (value) => {
        const resolved = variables.resolve({}, { a: value });
        assert.equal(assemble(resolved, new Map()).text, `<${value}>`);
        assert.deepEqual(resolved.values, { a: value });
      }),
    );
  });
});
