import assert from 'node:assert/strict';
import fc from 'fast-check';
import { placesOfValues, readJson } from '../../../src/domain/output-json.ts';

function fault(text: string): string {
  const read = readJson(text);
  return 'fault' in read ? `${read.fault} [${text.slice(read.span.start, read.span.end)}]` : 'none';
}

describe('CheckOutput enforces the constraints', () => {
  it('reads JSON', () => {
    const text = ' {"a": [1, -2.5e3, true, null, "x\\u00e9"], "b": {}}\n';
    assert.deepEqual(readJson(text), { value: { a: [1, -2500, true, null, 'xé'], b: {} } });
  });

  const faults: [string, string, RegExp][] = [
    ['nothing', '', /^value expected at line 1, column 1/],
    ['prose', 'Sure! {}', /^invalid symbol at line 1, column 1 \[Sure!\]$/],
    ['text behind the value', '{"a": 1}\nDone', /at line 2, column 1 \[Done\]$/],
    ['a comment', '{"a": 1 /* one */}', /^invalid comment token at line 1, column 9/],
    ['a comma at the end', '[1,]', /^value expected at line 1, column 4/],
    ['a value that is cut off', '{"a": [1', /^close bracket expected/],
    ['text that is not closed', '"abc', /^unexpected end of string/],
    ['a number with a leading zero', '01', /^end of file expected at line 1, column 2/],
    ['a member that stands twice', '{"a": 1, "b": {"a": 2}, "a": 3}', /^the member "a" stands twice in one object \["a"\]$/],
    ['an integer beyond 2^53', '{"id": 9007199254740993}', /^9007199254740993 is beyond 2\^53/],
    ['white space that JSON does not know', '\u00a0{}', /^invalid symbol at line 1, column 1/],
    ['a number beyond all', '[1e400]', /^1e400 is beyond 2\^53/],
  ];
  for (const [title, text, expected] of faults) {
    it(`${title} cannot be read as JSON`, () => assert.match(fault(text), expected));
  }

  it('an integer up to 2^53 - 1, and any fraction, can be', () => {
    assert.deepEqual(readJson('[9007199254740991, -9007199254740991, 0.1]'), {
      value: [9007199254740991, -9007199254740991, 0.1],
    });
  });

  it('nesting is bounded before anything recurs; brackets in text are none', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    assert.equal(fault(nested(500)), 'none');
    assert.match(fault(nested(501)), /^lists and objects stand more than 500 deep/);
    assert.match(fault('['.repeat(1024 * 1024)), /^lists and objects stand/);
    assert.match(fault(`["\n${'['.repeat(200_000)}`), /^unexpected end of string/);
    assert.match(fault(`/*"*/${'{"a":'.repeat(200_000)}`), /^invalid comment token/);
    assert.equal(fault(`[${'{"a":[]},'.repeat(1_000)}0]`), 'none');
    assert.equal(fault(JSON.stringify(`\\"${'[{'.repeat(600)}`)), 'none');
  });

  it('takes what JSON.parse takes, and nothing else', () => {
    const pieces = [...'[]{},:" \n\t', '"a"', '\\u00', '1', '-', '0', '.', 'e5', 'true', 'null', '\u00a0', '\u2028', '//', '\ufeff', '\b'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 9 }), (list) => {
        const text = list.join('');
        const read = readJson(text);
        if ('fault' in read) return /twice|2\^53/.test(read.fault) || assert.throws(() => JSON.parse(text));
        return assert.deepEqual(read.value, JSON.parse(text));
      }),
      { numRuns: 5_000 },
    );
  });

  it('tells where values stand', () => {
    const text = '{"a": [1, {"b/c": "x"}], "d~": true, "1": 2}';
    const shown = placesOfValues(text, ['', '/a/1/b~1c', '/d~0', '/1', '/a/0']).map(({ start, end }) => text.slice(start, end));
    assert.deepEqual(shown, [text, '"x"', 'true', '2', '1']);
    const [span] = placesOfValues(text, ['/a/7/gone']);
    assert.equal(text.slice(span!.start, span!.end), '[1, {"b/c": "x"}]');
  });
});
