import assert from 'node:assert/strict';
import {
  characters,
  checkDescription,
  checkLength,
  cut,
  excerpt,
  isBlank,
  normalizeContent,
  normalizeNote,
  words,
} from '../../../src/domain/text.ts';
import { violationsOf } from '../../support/violations.ts';

describe('Template content is stored normalized', () => {
  it('a Windows file with a decomposed accent', () => {
    assert.equal(normalizeContent('\uFEFFCafe\u0301\r\nBar'), 'Café\nBar');
  });

  it('CRLF and lone CR become LF', () => {
    assert.equal(normalizeContent('a\r\nb\rc\n\rd'), 'a\nb\nc\n\nd');
  });

  it('a byte order mark is stripped at the beginning only, however often it is there', () => {
    assert.equal(normalizeContent('\uFEFF\uFEFFa\uFEFFb'), 'a\uFEFFb');
  });

  it('white space stays where it is in content, and goes around notes', () => {
    assert.equal(normalizeContent(' a \n'), ' a \n');
    assert.equal(normalizeNote('\uFEFF \u00A0a\r\nb \n'), 'a\nb');
  });
});

describe('Template content is bounded', () => {
  it('a character is a code point after NFC', () => {
    assert.equal(characters(''), 0);
    assert.equal(characters('😀😀'), 2);
    assert.equal(characters('e\u0301'), 1);
    assert.equal(characters('👩‍👧'), 3);
  });

  it('a word is a run without white space', () => {
    assert.equal(words(''), 0);
    assert.equal(words(' \n\t '), 0);
    assert.equal(words(' one\u00A0two,\nthree '), 3);
  });

  it('blank is white space and nothing else', () => {
    assert.ok(isBlank(''));
    assert.ok(isBlank(' \t\r\n\u2003'));
    assert.ok(!isBlank(' . '));
  });
});

describe('Every violation is reported at once', () => {
  it('a length is told with its bound', () => {
    assert.deepEqual(violationsOf((violations) => checkLength(violations, 'a', 'éé', 2)), []);
    assert.deepEqual(violationsOf((violations) => checkLength(violations, 'a', 'ééé', 2)), [
      { field: 'a', reason: 'TOO_LONG', description: 'must have at most 2 characters, not 3' },
    ]);
  });

  it('a description is trimmed before it is counted', () => {
    const violations = violationsOf((list) => {
      assert.equal(checkDescription(list, 'd', ` ${'x'.repeat(1000)}\n`), 'x'.repeat(1000));
    });
    assert.deepEqual(violations, []);
  });

  it('quoted text is cut without breaking a character', () => {
    assert.equal(excerpt('a"b'), '"a\\"b"');
    assert.equal(cut('x'.repeat(80)), 'x'.repeat(80));
    assert.equal(cut(`${'x'.repeat(79)}😀y`), `${'x'.repeat(79)}\uFFFD…`);
  });
});
