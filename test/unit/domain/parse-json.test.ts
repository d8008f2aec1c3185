import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseJson } from '../../../src/domain/parse-json.ts';

/** V8 may take the names that follow for this one. */
function poison(): void {
  JSON.parse(String.raw`{"h":[],"\\":0}`);
}

describe('The same input gives the same bytes everywhere', () => {
  for (const name of ['\n', '"', '\\', '\r\n', 'a\n', '\u{1f9ee}\\']) {
    it(`the name ${JSON.stringify(name)} stays what it is, whatever was read before`, () => {
      poison();
      assert.deepEqual(parseJson(JSON.stringify({ h: 1, [name]: 2 })), { h: 1, [name]: 2 });
    });
  }

  it('a name that means something else to JavaScript is a name like others', () => {
    const text = String.raw`{"__proto__":{"\n":[true,null,1.5e-7]},"b":"x\ny"}`;
    assert.equal(JSON.stringify(parseJson(text)), JSON.stringify(JSON.parse(text)));
  });

  it('every JSON value is read as it was written', () => {
    const name = fc.string({ unit: fc.constantFrom('\\', '"', '\n', 'N', '\u{1f9ee}', ':', '{', 'é'), maxLength: 6 });
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 3 }, fc.constantFrom(null, true, -1.5), name, fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(name, tie('value'), { maxKeys: 4 })),
    }));
    fc.assert(
      fc.property(value, (json) => {
        const text = JSON.stringify(json);
        assert.equal(JSON.stringify(parseJson(text)), text);
      }),
    );
  });

  it('what is no JSON is refused', () => {
    assert.throws(() => parseJson(String.raw`{"\n":}`), SyntaxError);
  });
});
