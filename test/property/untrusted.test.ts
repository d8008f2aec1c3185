import assert from 'node:assert/strict';
import fc from 'fast-check';
import { cleanUntrusted, untrustedText } from '../../src/domain/untrusted.ts';

const OPENING = '<untrusted name="note">';
const CLOSING = '</untrusted>';

const parts = ['<', '>', '/', '</', 'untrusted', '<untrusted', ' name="', OPENING, CLOSING];
const escapes = ['&', '&lt;', '&gt;', '&amp;'];
const hidden = ['\u200B', '\u{E0041}', '\u00AD', '\r', '\r\n', '\n', '\u0000', '\uFE0E', '\uFE0F', '\u200C', '\u200D'];
const halves = ['\uD83D', '\uDE00'];
const unit = fc.oneof(
  fc.constantFrom(...parts, ...escapes, ...hidden, ...halves),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
);
/** Text by somebody who knows the delimiter: its parts, what hides them, and anything else. */
const hostile = fc.array(unit).map((units) => units.join(''));

/** Joiners and variation selectors but one selector and then one joiner. */
const UNATTACHED =
  /^[\uFE0E-\uFE0F]|^[\u200C-\u200D]|[\uFE0E-\uFE0F]{2}|[\u200C-\u200D]{2}|[\u200C-\u200D][\uFE0E-\uFE0F]/;

/** The text inside of the delimiter, as its author wrote it. */
function read(rendered: string): string {
  if (rendered === '') return '';
  assert.ok(rendered.startsWith(OPENING) && rendered.endsWith(CLOSING));
  const escaped = rendered.slice(OPENING.length, -CLOSING.length);
  return escaped.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

describe('Untrusted values cannot leave their delimiter', () => {
  it('what stands in it reads back as the cleaned value', () => {
    fc.assert(
      fc.property(hostile, (value) => {
        assert.equal(read(untrustedText('note', value)), cleanUntrusted(value).text);
      }),
    );
  });

  it('cleaning twice is cleaning once', () => {
    fc.assert(
      fc.property(hostile, (value) => {
        const { text } = cleanUntrusted(value);
        assert.deepEqual(cleanUntrusted(text), { text, removed: 0 });
        assert.ok(text.isWellFormed());
      }),
    );
  });

  it('joiners and variation selectors stand behind a character, one of each', () => {
    const unit = fc.constantFrom('a', '\u2764', '\u{1F525}', ...hidden);
    fc.assert(
      fc.property(fc.oneof(hostile, fc.array(unit).map((units) => units.join(''))), (value) => {
        const { text, removed } = cleanUntrusted(value);
        assert.doesNotMatch(text, UNATTACHED);
        assert.equal(removed, [...value.replaceAll(/\r\n?/g, '\n')].length - [...text].length);
      }),
    );
  });

  it('whatever stands around it, a value adds one delimiter and no other markup', () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (before, value, after) => {
        const rendered = untrustedText('note', value);
        fc.pre(rendered !== '');
        const text = before + rendered + after;
        for (const [part, own] of [[OPENING, 1], ['<untrusted', 1], [CLOSING, 1], ['<', 2], ['>', 2]] as const) {
          assert.equal(count(text, part), count(before, part) + own + count(after, part), part);
        }
      }),
    );
  });

  it('two values beside one another stay two', () => {
    fc.assert(
      fc.property(hostile, hostile, (one, other) => {
        const [first, second] = [untrustedText('note', one), untrustedText('note', other)];
        fc.pre(first !== '' && second !== '');
        assert.deepEqual(`${first}${second}`.split(CLOSING).map((part) => read(part && part + CLOSING)), [
          cleanUntrusted(one).text,
          cleanUntrusted(other).text,
          '',
        ]);
      }),
    );
  });
});
