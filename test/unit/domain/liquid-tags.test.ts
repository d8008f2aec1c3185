import assert from 'node:assert/strict';
import type { JsonObject } from '../../../src/domain/json.ts';
import { failure, liquid, mistakes } from '../../support/liquid.ts';

const ITEMS = { items: ['a', 'b', 'c', 'd'] };

describe('LIQUID has a documented list of tags and filters', () => {
  it('for goes over a list, text as one item, and the members of an object as pairs', () => {
    const content = '{% for x in v %}<{{ x }}>{% else %}none{% endfor %}';
    const made = (v: JsonObject[string]): string => liquid(content, { v });
    assert.equal(made([1, [2], null]), '<1><[2]><>');
    assert.equal(made('abc'), '<abc>');
    assert.equal(made({ b: 1, a: { c: 2 } }), '<["a",{"c":2}]><["b",1]>');
    for (const nothing of [[], {}, '', 5, true, null]) assert.equal(made(nothing), 'none');
    assert.equal(
      liquid('{% for pair in o %}{{ pair[0] }}={{ pair.last }} {% endfor %}', { o: { b: 1, a: 2 } }),
      'a=2 b=1 ',
    );
  });

  it('for has limit, offset and reversed', () => {
    const made = (parameters: string): string => liquid(`{% for x in items ${parameters} %}{{ x }}{% endfor %}`, ITEMS);
    assert.equal(made('limit: 2'), 'ab');
    assert.equal(made('offset: 1, limit: 2'), 'bc');
    assert.equal(made('reversed limit:2'), 'ba');
    assert.equal(made('limit: items.size offset: 3'), 'd');
    assert.equal(made('offset: 9'), '');
    assert.equal(made('limit: "3"'), 'abc');
  });

  it('offset: continue goes on where the last loop over the same ended', () => {
    const loop = (variable: string, parameters: string): string => {
      return `{% for ${variable} in items ${parameters} %}{{ ${variable} }}{% endfor %} `;
    };
    const content =
      loop('x', 'limit: 2') +
      loop('x', 'offset: continue limit: 1') +
      loop('x', 'offset: continue') +
      loop('y', 'offset: continue');
    assert.equal(liquid(content, ITEMS), 'ab c d abcd ');
    assert.deepEqual(mistakes(content), []);
  });

  it('forloop tells where a loop is', () => {
    const members = ['index', 'index0', 'rindex', 'rindex0', 'first', 'last', 'length'];
    const body = members.map((name) => `{{ forloop.${name} }}`).join(' ');
    assert.equal(
      liquid(`{% for x in items limit: 2 %}${body};{% endfor %}`, ITEMS),
      '1 0 2 1 true false 2;2 1 1 0 false true 2;',
    );
    assert.equal(
      liquid(
        '{% for x in (1..2) %}{% for y in (1..2) %}{{ forloop.index }}{% endfor %}{{ forloop.index }} {% endfor %}',
      ),
      '121 122 ',
    );
    assert.match(
      failure('{% for x in (1..2) %}{{ forloop.next }}{% endfor %}'),
      /^variables MISSING .* reads "forloop.next"/,
    );
    assert.deepEqual(mistakes('{% for x in (1..2) %}{{ forloop }}{% endfor %}'), [
      '1:25 NOT_ALLOWED read a member of forloop, as forloop.index',
    ]);
  });

  it('break and continue leave the innermost loop, from captures and cases too', () => {
    const content =
      '{% for x in items %}{% for y in (1..3) %}{% if y == 2 %}{% continue %}{% endif %}{{ x }}{{ y }} ' +
      '{% case x %}{% when "b" %}{% capture z %}{% break %}{% endcapture %}{% endcase %}{% endfor %}' +
      '{% if x == "c" %}{% break %}{% endif %}{% endfor %}.';
    assert.equal(liquid(content, ITEMS), 'a1 a3 b1 c1 c3 .');
  });

  it('a range goes between whole numbers', () => {
    const made = (range: string, values: JsonObject = {}): string =>
      liquid(`{% for i in ${range} %}{{ i }} {% endfor %}`, values);
    assert.equal(made('(1..3)'), '1 2 3 ');
    assert.equal(made('(3..1)'), '');
    assert.equal(made('(-1..n)', { n: '1' }), '-1 0 1 ');
    assert.equal(
      made('(a.b..n)', { n: 9007199254740991, a: { b: 9007199254740990 } }),
      '9007199254740990 9007199254740991 ',
    );
  });

  it('what is no whole number is no end of a range, limit or offset', () => {
    const ends =
      'variables WRONG_TYPE line 1, column 1 of a LIQUID template: ' +
      'a whole number from -(2^53 - 1) to 2^53 - 1 is needed';
    for (const n of [1.5, 2 ** 53, null, '1e300']) {
      assert.equal(failure('{% for i in (n..3) %}{% endfor %}', { n }), ends);
      assert.equal(failure('{% for i in (1..n) %}{% endfor %}', { n }), ends);
    }
    for (const n of [1.5, -1, null, 2 ** 53]) {
      for (const name of ['limit', 'offset']) {
        assert.match(
          failure(`{% for i in items ${name}: n %}{% endfor %}`, { ...ITEMS, n }),
          /from 0 to 2\^53 - 1 is needed$/,
        );
      }
    }
    assert.match(
      failure('{% for i in items limit: n %}{% endfor %}', { ...ITEMS, n: [1] }),
      /list or an object is no number$/,
    );
  });

  it('case compares as == does, and renders each when that fits, or else', () => {
    const content =
      '{% case v %}{% when 1, "a" or nil %}one {% when "a" %}two{% when list %}list{% else %}else{% endcase %}';
    const made = (v: JsonObject[string]): string => liquid(content, { v, list: [{ a: 1 }] });
    assert.equal(made(1), 'one ');
    assert.equal(made('a'), 'one two');
    assert.equal(made(null), 'one ');
    assert.equal(made([{ a: 1 }]), 'list');
    assert.equal(made('b'), 'else');
    assert.equal(liquid('{% case "" %}{% when empty %}empty{% endcase %}'), 'empty');
  });

  it('assign and capture make names for what follows', () => {
    assert.equal(
      liquid('{% assign x = "a" | append: "b" %}{% capture y %}<{{ x }}>{% endcapture %}{{ y | upcase }}'),
      '<AB>',
    );
    assert.equal(liquid('{% assign x = nil %}{% assign y = blank %}[{{ x }}{{ y | json }}]'), '[""]');
    assert.equal(liquid('{% capture "x" %}a{% endcapture %}{{ x }}'), 'a');
  });

  it('comments, remarks and raw text are not read', () => {
    assert.equal(
      liquid('a{% comment %}{{ x | y }}{% z %}{% endcomment %}b{% # c | d %}{% raw %}{{ e }}{%{% endraw %}'),
      'ab{{ e }}{%',
    );
    assert.equal(liquid('{%- # one\n   # two\n\n -%}\n x'), 'x');
  });

  it('unless and elsif', () => {
    const content = '{% unless a %}1{% elsif b %}2{% else %}3{% endunless %}';
    assert.equal(liquid(content, { a: false, b: true }), '1');
    assert.equal(liquid(content, { a: true, b: true }), '2');
    assert.equal(liquid(content, { a: true, b: false }), '3');
    assert.equal(liquid('{% if a %}1{% elsif b %}2{% endif %}', { a: false, b: true }), '2');
  });
});

describe('LIQUID renders deterministically', () => {
  it('nothing of a render is left to the next', () => {
    const content = '{% for x in items offset: continue limit: 2 %}{{ x }}{% endfor %}{{ y }}{% assign y = "y" %}';
    assert.equal(liquid(content, { ...ITEMS, y: '' }), 'ab');
    assert.equal(liquid(content, { ...ITEMS, y: '' }), 'ab');
  });

  it('a loop does not see its list grow', () => {
    assert.equal(
      liquid('{% for x in l %}{% assign l = l | push: x %}{{ x }}{% endfor %}{{ l }}', { l: [1, 2] }),
      '12[1,2,1,2]',
    );
  });
});
