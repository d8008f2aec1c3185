import assert from 'node:assert/strict';
import { tags as tagsOfLiquidJs } from 'liquidjs';
import { liquidNodes, liquidUnits, readLiquid } from '../../../src/domain/liquid-syntax.ts';
import { TAGS } from '../../../src/domain/liquid-engine.ts';
import { mistakes } from '../../support/liquid.ts';

const LISTED = 'assign, break, capture, case, comment, continue, else, elsif, for, if, raw, unless, when';
const OPERATORS =
  'the operator is not available; compare with ==, combine with and, or, not, ' +
  'calculate with filters, as {{ count | plus: 1 }}';
const FOR =
  'a for is written {% for item in list %}, with one name; ' +
  'of an object, item[0] is the name of a member and item[1] its value';

function reads(content: string): string[] {
  const reading = readLiquid(content);
  assert.deepEqual(reading.mistakes, []);
  return reading.reads.map(({ name }) => name);
}

/** What is wrong with an expression, in places where one may stand; columns count from its own begin. */
function mistakesIn(expression: string): string[] {
  const places = ['{{ ', '{% if ', '{% assign a = '].map((before) => {
    const after = before === '{{ ' ? ' }}' : before === '{% if ' ? ' %}{% endif %}' : ' %}';
    return mistakes(before + expression + after).map((each) => {
      return each.replace(/^1:(\d+)/, (_, column: string) => String(Number(column) - before.length));
    });
  });
  for (const other of places) assert.deepEqual(other, places[0], expression);
  return places[0]!;
}

describe('LIQUID has a documented list of tags and filters', () => {
  it('every tag on the list is accepted', () => {
    const content =
      '{% # remark %}{% assign a = 1 %}{% capture b %}{% endcapture %}{% comment %}{% endcomment %}' +
      '{% raw %}{% endraw %}{% for c in (1..2) %}{% break %}{% continue %}{% else %}{% endfor %}' +
      '{% unless a %}{% elsif b %}{% endunless %}{% if a %}{% elsif b %}{% else %}{% endif %}' +
      '{% case a %}{% when 1 %}{% else %}{% endcase %}';
    assert.deepEqual(mistakes(content), []);
  });

  for (const name of Object.keys(tagsOfLiquidJs).filter((each) => !TAGS.includes(each))) {
    it(`the tag ${name} of LiquidJS is not on it`, () => {
      const refusal = `1:2 NOT_ALLOWED the tag "${name}" is not available; use one of #, ${LISTED}`;
      assert.deepEqual(mistakes(`a{% ${name} "x" %}`), [refusal]);
    });
  }

  it('what others call elsif is told as such', () => {
    for (const name of ['elseif', 'elif']) {
      assert.deepEqual(mistakes(`{% if a %}{% ${name} b %}{% endif %}`), [
        `1:11 NOT_ALLOWED the tag "${name}" is not available; write elsif`,
      ]);
    }
  });

  it('nor are names that every object has', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      assert.match(mistakes(`{% ${name} %}`)[0]!, /^1:1 NOT_ALLOWED the tag/);
      assert.match(mistakes(`{{ a | ${name} }}`)[0]!, /^1:6 NOT_ALLOWED the filter/);
    }
  });
});

describe('Every unknown tag and filter is named with its place', () => {
  it('three on two lines', () => {
    const [shout, cycle, date, ...more] = mistakes('{{ name | shout }} {% cycle "a", "b" %}\n{{ name | date: "%Y" }}');
    assert.match(shout!, /^1:9 NOT_ALLOWED the filter "shout"/);
    assert.match(cycle!, /^1:20 NOT_ALLOWED the tag "cycle"/);
    assert.match(date!, /^2:9 NOT_ALLOWED the filter "date"/);
    assert.deepEqual(more, []);
  });

  it('together with what else is wrong, and what is read', () => {
    const content =
      '{% layout "x" %}{{ a | date }}{{ b c }}{{ "\\u0000" }}{% for x in y cols: 2 %}{{ x | map: z }}{% endfor %}';
    const { mistakes: found, reads: read } = readLiquid(content);
    assert.deepEqual(
      found.map(({ reason, description }) => `${reason} ${description.slice(0, 30)}`),
      [
        'NOT_ALLOWED the tag "layout" is not availa',
        'NOT_ALLOWED the filter "date" is not avail',
        'BAD_SYNTAX values have to stand between o',
        'NUL text must not contain U+0000',
        'NOT_ALLOWED a for takes limit: N, offset: ',
        'NOT_ALLOWED map takes the name of a member',
      ],
    );
    assert.deepEqual(
      read.map(({ name }) => name),
      ['a', 'b', 'c', 'y', 'z'],
    );
  });

  it('where the content cannot be parsed, too', () => {
    for (const broken of ['{{ }}', '{% if a %}', '{% endif %}']) {
      const found = mistakes(
        `{{ "|x" | one }}${broken}{% assign a = 1 | two %}{% comment %}{{ 1 | three }}{% endcomment %}{% four %}`,
      );
      const named = found.flatMap((each) => /(?:tag|filter) "(\w+)"/.exec(each)?.[1] ?? []);
      assert.deepEqual(named, ['one', 'two', 'four']);
    }
  });

  it('not within comments, remarks and raw text', () => {
    assert.deepEqual(mistakes('{% comment %}{{ a | b }}{% c %}{% if %}{% endcomment %}{% # d | e %}'), []);
    assert.deepEqual(mistakes('{% raw %}{{ a | b }}{% c %}{% endraw %}'), []);
    assert.deepEqual(mistakes('{% comment | b %}{% endcomment %}'), []);
  });
});

describe('The variables that LIQUID reads are found wherever they stand', () => {
  it('in every tag, filter, argument, path and bracket', () => {
    const content =
      '{{ a }}{{ b.size }}{{ c[d.e][f] | append: g | default: h, allow_false: i }}{% if j == k.l and m %}' +
      '{% elsif n %}{{ o }}{% else %}{{ p }}{% endif %}{% unless q %}{{ r }}{% endunless %}' +
      '{% case s %}{% when t, "x" or u %}{{ v }}{% else %}{{ w }}{% endcase %}' +
      '{% for x in y[z] limit: aa offset: bb %}{{ x }}{{ cc }}{% else %}{{ dd }}{% endfor %}' +
      '{% for x in (ee..ff) reversed %}{% endfor %}{% capture x %}{{ gg }}{% endcapture %}' +
      '{% assign x = hh | plus: ii %}';
    assert.deepEqual(reads(content), [
      ...'abcdfghijkmnopqrstuvwyz',
      'aa',
      'bb',
      'cc',
      'dd',
      'ee',
      'ff',
      'gg',
      'hh',
      'ii',
    ]);
  });

  it('each with its place, in the order of the content', () => {
    const content =
      '{% if a %}{{ b }}{% elsif c %}{% endif %}\n{% case d %}{% when 1 %}{{ e }}{% when f %}{% endcase %}';
    const offsets = readLiquid(content).reads.map(({ name, offset }) => [name, content.slice(offset, offset + 1)]);
    assert.deepEqual(
      offsets,
      [...'abcdef'].map((name) => [name, name]),
    );
  });

  it('a name is the loop’s inside of the loop, and a variable elsewhere', () => {
    assert.deepEqual(
      reads('{% for x in x %}{{ x }}{{ forloop.index }}{% else %}{{ x }}{{ forloop }}{% endfor %}{{ x }}'),
      ['x', 'x', 'forloop', 'x'],
    );
    assert.deepEqual(reads('{% for x in a %}{% for y in x %}{{ x }}{{ y }}{% endfor %}{{ y }}{% endfor %}'), [
      'a',
      'y',
    ]);
  });

  it('a name is the content’s own once it has made it', () => {
    assert.deepEqual(reads('{{ x }}{% assign x = x | upcase %}{{ x }}{% if a %}{{ x }}{% endif %}'), ['x', 'x', 'a']);
    assert.deepEqual(reads('{% capture x %}{{ x }}{% endcapture %}{{ x }}'), ['x']);
    assert.deepEqual(reads('{% for a in b %}{{ x }}{% assign x = 1 %}{{ x }}{% endfor %}'), ['b', 'x']);
  });

  it('what it may have made, in a branch or a loop, is told apart', () => {
    const assigned = (content: string): [string, boolean][] =>
      readLiquid(content).reads.map(({ name, assigned: made }) => [name, made]);
    assert.deepEqual(assigned('{% if a %}{% assign x = 1 %}{{ x }}{% else %}{{ x }}{% endif %}{{ x }}'), [
      ['a', false],
      ['x', true],
      ['x', true],
    ]);
    assert.deepEqual(assigned('{% for a in b %}{% capture x %}{% endcapture %}{% endfor %}{{ x }}'), [
      ['b', false],
      ['x', true],
    ]);
    assert.deepEqual(readLiquid('{% if a %}{% assign x = 1 %}{% endif %}{% assign x = 2 %}{{ x }}').locals, ['x']);
  });

  it('each with what is done with it', () => {
    const uses = (content: string): string[] => readLiquid(content).reads.map(({ use }) => use);
    assert.deepEqual(uses('{{ a }}{{- a -}}'), ['output', 'output']);
    assert.deepEqual(
      uses('{% if a == a.b and a[a] %}{% elsif a %}{% endif %}'),
      Array.from({ length: 5 }, () => 'condition'),
    );
    assert.deepEqual(
      uses('{% unless a %}{% endunless %}{% case a %}{% when a, a.b %}{% endcase %}').join(' '),
      'condition condition condition condition',
    );
    const others = [
      '{{ a.b }}',
      '{{ a | upcase }}',
      '{{ a == 1 }}',
      '{{ 1 | append: a }}',
      '{{ 1 | default: 2, allow_false: a }}',
      '{% if a | upcase %}{% endif %}',
      '{% if 1 | append: a %}{% endif %}',
      '{% case a | size %}{% when 1 %}{% endcase %}',
      '{% for x in a %}{% endfor %}',
      '{% for x in (a..2) %}{% endfor %}',
      '{% for x in (1..2) limit: a %}{% endfor %}',
      '{% assign x = a %}',
      '{% capture x %}{{ a }}{% endcapture %}',
      '{% capture x %}{% if 1 %}{{ a }}{% endif %}{% endcapture %}',
    ];
    for (const content of others) assert.deepEqual(uses(content), ['other'], content);
    assert.deepEqual(uses('{{ a[a] }}'), ['other', 'other']);
  });

  it('not in text that only looks like it', () => {
    assert.deepEqual(
      reads('a {b} {{ "c | d" }}{{ true }}{{ 1 }}{% comment %}{{ e }}{% endcomment %}{% raw %}{{ f }}{% endraw %}'),
      [],
    );
  });
});

describe('Nothing of LIQUID content is left out in silence', () => {
  it('blocks begin, are divided and end', () => {
    const found = (content: string): string[] => mistakes(content).map((each) => each.replace('BAD_SYNTAX ', ''));
    assert.deepEqual(found('{% if a %}{% for x in y %}'), [
      '1:1 if is not closed; end it with endif',
      '1:11 for is not closed; end it with endfor',
    ]);
    assert.deepEqual(found('{% if a %}{% for x in y %}{% endif %}'), ['1:11 for is not closed; end it with endfor']);
    assert.deepEqual(found('{% if a %}{% endfor %}{{ b }}'), ['1:11 there is no block here that endfor could end']);
    assert.deepEqual(found('{% endif %}'), ['1:1 there is no block here that endif could end']);
    assert.deepEqual(found('{% comment %}{% endraw %}'), ['1:1 comment is not closed; end it with endcomment']);
    assert.deepEqual(found('{% endcomment %}'), ['1:1 there is no block here that endcomment could end']);
    for (const divided of [
      '{% else %}',
      '{% if a %}{% when 1 %}{% endif %}',
      '{% capture a %}{% else %}{% endcapture %}',
      '{% for a in b %}{% elsif c %}{% endfor %}',
    ]) {
      assert.match(found(divided).join(), /^1:\d+ there is no block here that \w+ could divide$/, divided);
    }
    const once = 'there is one else in a block, at its end';
    assert.deepEqual(found('{% if a %}{% else %}{% else %}{% endif %}'), [`1:21 this if has an else already; ${once}`]);
    assert.deepEqual(found('{% for a in b %}{% else %}{% else %}{% endfor %}'), [
      `1:27 this for has an else already; ${once}`,
    ]);
    assert.deepEqual(found('{% unless a %}{% else %}{% elsif b %}{% endunless %}'), [
      `1:25 this unless has its else before this elsif; ${once}`,
    ]);
    assert.deepEqual(found('{% case a %}{% else %}{% when 1 %}{% endcase %}'), [
      `1:23 this case has its else before this when; ${once}`,
    ]);
  });

  it('content that ends too early', () => {
    assert.deepEqual(mistakes('a {{ b'), ['1:3 BAD_SYNTAX output "{{ b" not closed']);
    assert.deepEqual(mistakes('a {% b'), ['1:3 BAD_SYNTAX tag "{% b" not closed']);
    assert.match(mistakes('{% raw %}{{ a }}').join(), /BAD_SYNTAX raw .* not closed$/);
    assert.match(mistakes('{{ }}').join(), /BAD_SYNTAX invalid value expression/);
    assert.match(mistakes('{% %}').join(), /BAD_SYNTAX illegal tag syntax, tag name expected$/);
  });

  it('a for that is written otherwise', () => {
    for (const head of ['k,v in a', 'k, v in a', 'a of b', 'a in', '', `${'a'.repeat(500)} of b`]) {
      assert.deepEqual(mistakes(`{% for ${head} %}{% endfor %}`), [`1:1 BAD_SYNTAX ${FOR}`], head);
    }
  });

  it('operators of other languages', () => {
    assert.deepEqual(mistakes('{% if a = 1 %}{% endif %}'), [`1:9 BAD_SYNTAX ${OPERATORS}`]);
    assert.deepEqual(mistakes('{% if a && b %}{% endif %}'), [`1:9 BAD_SYNTAX ${OPERATORS}`]);
    assert.deepEqual(mistakes('{{ a + 1 }}'), [`1:6 BAD_SYNTAX ${OPERATORS}`]);
    for (const [expression, column] of [
      ['a || b', 4],
      ['!a', 1],
      ['a === 1', 5],
      ['a * 2', 3],
      ['a / 2', 3],
      ['a % 2', 3],
      ['a =< b', 3],
      ['a++', 2],
      ['a | size = 1', 10],
      ['a | plus: 1 + 2', 13],
    ] as const) {
      assert.deepEqual(mistakesIn(expression), [`${column} BAD_SYNTAX ${OPERATORS}`], expression);
    }
    assert.deepEqual(mistakesIn('a | append "b"'), ['12 BAD_SYNTAX expected ":" after filter name']);
  });

  it('tags that take nothing have nothing', () => {
    assert.deepEqual(mistakes('{% unless a %}{% else if b %}{% endunless %}'), [
      '1:15 BAD_SYNTAX else takes nothing, and "if b" is there',
    ]);
    for (const content of [
      '{% if a %}{% endif a %}',
      '{% case a %}{% when 1 %}{% endcase a %}',
      '{% capture a %}{% endcapture a %}',
      '{% for a in b %}{% break 1 %}{% endfor %}',
      '{% for a in b %}{% continue 1 %}{% endfor %}',
    ]) {
      assert.match(mistakes(content).join(), /^1:\d+ BAD_SYNTAX \w+ takes nothing, and "\w" is there$/);
    }
  });

  it('a loop is left from within', () => {
    const outside = (name: string): string => `there is no for here that ${name} could leave`;
    assert.deepEqual(mistakes('{% if a %}{% break %}{% endif %}'), [`1:11 BAD_SYNTAX ${outside('break')}`]);
    assert.deepEqual(mistakes('{% for a in b %}{% else %}{% continue %}{% endfor %}'), [
      `1:27 BAD_SYNTAX ${outside('continue')}`,
    ]);
    assert.deepEqual(mistakes('{% for a in b %}{% for c in d %}{% else %}{% break %}{% endfor %}{% endfor %}'), []);
  });

  it('what stands between case and its first when', () => {
    const lost = 'BAD_SYNTAX what stands between case and its first when is not rendered; move it';
    for (const content of ['a', '{{ a }}', '{% if a %}{% endif %}', '{% assign a = 1 %}']) {
      assert.deepEqual(mistakes(`{% case a %}${content}{% when 1 %}{% endcase %}`), [`1:13 ${lost}`]);
    }
    assert.deepEqual(mistakes('{% case a %}\n {% # b %}{% comment %}c{% endcomment %}{% when 1 %}d{% endcase %}'), []);
    assert.deepEqual(mistakes('{% case a %}{% endcase %}{% case a %}{% else %}b{% endcase %}'), []);
  });

  it('a when has values, with commas or or between them', () => {
    const when = (values: string): string[] => mistakes(`{% case a %}{% when ${values}%}{% endcase %}`);
    assert.deepEqual(when('"a", b.c or 1,2 '), []);
    assert.deepEqual(when(''), ['1:1 BAD_SYNTAX each when of a case takes at least one value']);
    assert.deepEqual(when('1 and 2 or 3 '), ['1:22 BAD_SYNTAX the values of a when stand apart by a comma or by or']);
    assert.deepEqual(when('1 2 '), ['1:22 BAD_SYNTAX what stands here is not understood']);
  });

  it('every line of a remark begins with #', () => {
    assert.deepEqual(mistakes('{% # a\n\n  # b\n# %}'), []);
    assert.deepEqual(mistakes('a{% # a\n b %}'), [
      '1:2 BAD_SYNTAX every line of this remark begins with #; comment takes text of any form',
    ]);
  });

  it('a for has limit, offset and reversed', () => {
    const loop = (rest: string): string[] => mistakes(`{% for a in b ${rest} %}{% endfor %}`);
    for (const rest of ['', 'limit:1', 'limit: 1, offset:c.d , reversed', 'reversed limit:"1"'])
      assert.deepEqual(loop(rest), []);
    for (const [rest, name] of [
      ['cols: 2', 'cols'],
      ['limit', 'limit'],
      ['offset:', 'offset'],
      ['reversed: 1', 'reversed'],
    ]) {
      const description = `a for takes limit: N, offset: N and reversed, and not "${name}" like this`;
      assert.deepEqual(loop(rest!), [`1:1 NOT_ALLOWED ${description}`]);
    }
    for (const rest of [
      '| sort',
      'limit: 1 | sort',
      'limit: 1 limit: 2',
      '__proto__: c',
      'limit: 1 . 2',
      '; reversed',
    ]) {
      assert.deepEqual(
        loop(rest),
        ['1:14 BAD_SYNTAX a for takes limit: N, offset: N and reversed, and no filters'],
        rest,
      );
    }
  });

  it('values stand between operators, and operators between values', () => {
    const turns = 'BAD_SYNTAX values have to stand between operators, and operators between values';
    for (const expression of [
      'a b',
      'a ==',
      '== a',
      'a b ==',
      'a == not b',
      'not',
      'a and',
      'a == b c',
      '1 1',
      '"a" "b"',
    ]) {
      assert.deepEqual(mistakesIn(expression), [`1 ${turns}`], expression);
    }
    for (const expression of ['not a', 'not not a', 'a and not b', 'a == b', 'not a == b or c contains d and e']) {
      assert.deepEqual(mistakesIn(expression), [], expression);
    }
  });

  it('nothing stands behind an expression', () => {
    for (const expression of ['a, b', 'a)', 'a | upcase, b', 'a | append: "b")', 'a |', 'a | upcase |']) {
      assert.match(mistakesIn(expression).join(), /^\d+ BAD_SYNTAX what stands here is not understood$/, expression);
    }
    assert.deepEqual(mistakes('{% capture a b %}{% endcapture %}'), [
      '1:13 BAD_SYNTAX what stands here is not understood',
    ]);
    assert.deepEqual(mistakes('{{ a ; b }}'), ['1:6 BAD_SYNTAX what stands here is not understood']);
  });

  it('quotes are closed, and hold text', () => {
    assert.deepEqual(mistakes('{% if a == "b %}{% endif %}'), ['1:12 BAD_SYNTAX a quote is not closed']);
    assert.deepEqual(mistakes('{% if a == "b\\" %}{% endif %}'), ['1:12 BAD_SYNTAX a quote is not closed']);
    assert.deepEqual(mistakes('{% capture "a %}{% endcapture %}'), ['1:12 BAD_SYNTAX a quote is not closed']);
    assert.deepEqual(mistakesIn(String.raw`"a\"b" == 'c\'"d'`), []);
    assert.deepEqual(mistakesIn(String.raw`"\u0000"`), ['1 NUL text must not contain U+0000']);
    assert.deepEqual(mistakesIn(String.raw`"a\0"`), ['1 NUL text must not contain U+0000']);
    assert.deepEqual(mistakesIn(String.raw`"\ud83d"`), ['1 NOT_UNICODE half of a character is no text']);
    assert.deepEqual(mistakesIn(String.raw`"\ud83d\ude00"`), []);
    assert.deepEqual(mistakes(String.raw`{% case a %}{% when "\0" %}{% endcase %}{{ a["\0"] }}`).length, 2);
  });

  it('a number is one', () => {
    assert.deepEqual(mistakesIn('1'.repeat(400)), ['1 NOT_FINITE the number is too large']);
  });

  it('a path begins with a name, and has a member behind each dot and in each bracket', () => {
    const named = 'NOT_ALLOWED a value is read by the name of its variable, as user or user.name';
    for (const expression of ['[a]', '["a"].b', '"a".size', 'true.a', '(1..3).size']) {
      assert.deepEqual(mistakesIn(expression), [`1 ${named}`], expression);
    }
    assert.deepEqual(mistakesIn('a.b.'), ['4 BAD_SYNTAX the name of a member is missing']);
    const brackets = 'BAD_SYNTAX brackets hold the name of a member in quotes, a number or a variable';
    for (const expression of ['a[]', 'a[b c]', 'a["b" | upcase]'])
      assert.deepEqual(mistakesIn(expression), [`3 ${brackets}`]);
    assert.deepEqual(mistakesIn('a["b"].c[ 0 ][d.e]'), []);
  });

  it('a range stands in a for only', () => {
    const range = 'NOT_ALLOWED a range stands in a for only';
    assert.deepEqual(mistakesIn('(1..3)'), [`1 ${range}`]);
    assert.deepEqual(mistakesIn('1 | append: (1..3)'), [`13 ${range}`]);
    assert.deepEqual(mistakes('{% for a in b limit: (9007199254740992..9007199254740994) %}{% endfor %}'), [
      `1:22 ${range}`,
    ]);
    assert.deepEqual(mistakes('{% for a in (1..(2..3)) %}{% endfor %}'), [`1:17 ${range}`]);
    assert.deepEqual(mistakes('{% case a %}{% when (1..2) %}{% endcase %}'), [`1:21 ${range}`]);
  });

  it('words that mean something are not made to mean something else', () => {
    for (const word of [
      'true',
      'false',
      'nil',
      'null',
      'empty',
      'blank',
      'and',
      'or',
      'not',
      'contains',
      'forloop',
      '12',
      '-1',
    ]) {
      const refusal = `NOT_ALLOWED ${word} has a meaning of its own; take another name`;
      assert.deepEqual(mistakes(`{% assign ${word} = 1 %}`), [`1:11 ${refusal}`]);
      assert.deepEqual(mistakes(`{% capture ${word} %}{% endcapture %}`), [`1:12 ${refusal}`]);
      assert.deepEqual(mistakes(`{% for ${word} in a %}{% endfor %}`), [`1:1 ${refusal}`]);
    }
  });
});

describe('LIQUID work is counted', () => {
  it('2,000 tags and outputs are accepted, 2,001 are not', () => {
    assert.deepEqual(mistakes('{{1}}'.repeat(2_000)), []);
    assert.deepEqual(mistakes('{{1}}'.repeat(2_001)), [
      '1:1 TOO_COMPLEX at most 2000 tags and outputs are allowed, not 2001',
    ]);
    assert.equal(liquidNodes('a{{ b }}{% c %}{d}{% raw %}{{'), 4);
    assert.equal(liquidNodes('none'), 0);
    assert.equal(liquidUnits('a{{ b }}{% raw %}{{ c }}{% endraw %}'), '{{ b }}{% raw %}{% endraw %}'.length);
  });

  it('16 blocks may stand inside one another, and the seventeenth is named', () => {
    const nested = (depth: number): string => '{% if a %}'.repeat(depth) + '{% endif %}'.repeat(depth);
    assert.deepEqual(mistakes(nested(16) + nested(16)), []);
    assert.deepEqual(mistakes(nested(17)), ['1:161 TOO_COMPLEX at most 16 blocks may stand inside one another']);
    assert.deepEqual(mistakes(nested(100)).length, 1);
  });

  it('16 brackets may stand inside one another, however much stack there is', () => {
    const nested = (depth: number): string => `{{ ${'a['.repeat(depth)}0${']'.repeat(depth)} }}`;
    const refusal = '1:1 TOO_COMPLEX at most 16 brackets or parentheses may stand inside one another';
    assert.deepEqual(mistakes(nested(16)), []);
    assert.deepEqual(mistakes(nested(17)), [refusal]);
    assert.deepEqual(mistakes(nested(3_000)), [refusal]);
    assert.deepEqual(mistakes(`{% for a in ${'('.repeat(4_000)}1 %}{% endfor %}`), [refusal]);
    assert.deepEqual(mistakes(`{{ "${'['.repeat(99)}" | append: '${'('.repeat(99)}\\'' }}`), []);
  });
});
