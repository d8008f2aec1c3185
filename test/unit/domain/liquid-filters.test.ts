import assert from 'node:assert/strict';
import { filters as filtersOfLiquidJs } from 'liquidjs';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import { FILTERS, liquidFilters, takesMember } from '../../../src/domain/liquid-filters.ts';
import { failure, liquid, mistakes } from '../../support/liquid.ts';

const USERS = [
  { name: 'Ada', age: 36, city: { name: 'London' }, vip: true },
  { name: 'Kim', age: 29, city: { name: 'Seoul' }, vip: false },
  { name: 'bo', age: 36, city: { name: 'Oslo' }, vip: null },
];

/** What each filter makes of what, and the text that comes of it. */
const EXAMPLES: Readonly<Record<string, readonly (readonly [expression: string, text: string])[]>> = {
  abs: [
    ['-7 | abs', '7'],
    ['"-7.5" | abs', '7.5'],
  ],
  append: [
    ['"a" | append: "b"', 'ab'],
    ['5 | append: list', '5[3,1,2]'],
  ],
  at_least: [
    ['4 | at_least: 5', '5'],
    ['4 | at_least: 3', '4'],
  ],
  at_most: [
    ['4 | at_most: 5', '4'],
    ['4 | at_most: 3', '3'],
  ],
  capitalize: [['"hELLO You" | capitalize', 'Hello you']],
  ceil: [['1.2 | ceil', '2']],
  compact: [['with_nil | compact', '[1,2]']],
  concat: [
    ['list | concat: list', '[3,1,2,3,1,2]'],
    ['list | concat: nil', '[3,1,2]'],
  ],
  default: [
    ['nothing | default: "d"', 'd'],
    ['"" | default: "d"', 'd'],
    ['no | default: "d"', 'd'],
    ['no | default: "d", allow_false: true', 'false'],
    ['0 | default: "d"', '0'],
  ],
  divided_by: [
    ['7 | divided_by: 2', '3.5'],
    ['7 | divided_by: 2, true', '3'],
  ],
  downcase: [['"ÄB" | downcase', 'äb']],
  escape: [['"<a href=\'x\'>&" | escape', '&lt;a href=&#39;x&#39;&gt;&amp;']],
  find: [
    ['users | find: "name", "Kim"', '{"age":29,"city":{"name":"Seoul"},"name":"Kim","vip":false}'],
    ['users | find: "name", "Eve"', ''],
  ],
  find_index: [
    ['users | find_index: "city.name", "Oslo"', '2'],
    ['users | find_index: "name", "Eve"', ''],
  ],
  first: [
    ['list | first', '3'],
    ['"😀b" | first', '😀'],
    ['"" | first', ''],
    ['object | first', ''],
  ],
  floor: [
    ['1.8 | floor', '1'],
    ['-1.2 | floor', '-2'],
  ],
  group_by: [['with_nil | group_by: "a" | json', '[{"items":[1,null,2],"name":null}]']],
  has: [
    ['users | has: "vip"', 'true'],
    ['users | has: "age", 30', 'false'],
    ['users | has: "name", empty', 'false'],
  ],
  join: [
    ['list | join', '3 1 2'],
    ['list | join: ", "', '3, 1, 2'],
    ['with_nil | join: "-"', '1--2'],
    ['5 | join', '5'],
  ],
  json: [
    ['"a\\"b" | json', '"a\\"b"'],
    ['nothing | json', 'null'],
    ['1.0 | json', '1'],
    ['true | json', 'true'],
    ['object | json', '{"a":1,"b":[2]}'],
  ],
  last: [
    ['list | last', '2'],
    ['"a😀" | last', '😀'],
    ['5 | last', ''],
  ],
  lstrip: [
    ['"  a " | lstrip', 'a '],
    ['"xxa" | lstrip: "x"', 'a'],
  ],
  map: [
    ['users | map: "name" | join', 'Ada Kim bo'],
    ['users | map: "city.name" | first', 'London'],
  ],
  minus: [['5 | minus: 7', '-2']],
  modulo: [
    ['7 | modulo: 3', '1'],
    ['-7 | modulo: 3', '2'],
  ],
  plus: [
    ['5 | plus: "2"', '7'],
    ['nothing | plus: 1', '1'],
    ['true | plus: 1', '2'],
  ],
  pop: [['list | pop', '[3,1]']],
  prepend: [['"a" | prepend: "b"', 'ba']],
  push: [
    ['list | push: 4', '[3,1,2,4]'],
    ['list | push: nil', '[3,1,2,null]'],
    ['list | push: list', '[3,1,2,[3,1,2]]'],
  ],
  reject: [
    ['users | reject: "vip" | map: "name" | join', 'Kim bo'],
    ['users | reject: "age", 36 | size', '1'],
  ],
  remove: [['"abab" | remove: "a"', 'bb']],
  remove_first: [['"abab" | remove_first: "a"', 'bab']],
  remove_last: [
    ['"abab" | remove_last: "a"', 'abb'],
    ['"abab" | remove_last: "x"', 'abab'],
  ],
  replace: [
    ['"abab" | replace: "a", "x"', 'xbxb'],
    ['"$a" | replace: "a", "$&"', '$$&'],
  ],
  replace_first: [['"abab" | replace_first: "a", "$&"', '$&bab']],
  replace_last: [['"abab" | replace_last: "a", "x"', 'abxb']],
  reverse: [['list | reverse', '[2,1,3]']],
  round: [
    ['1.5 | round', '2'],
    ['1.234 | round: 2', '1.23'],
    ['1234 | round: -2', '1200'],
    ['1.5 | round: 400', '1.5'],
  ],
  rstrip: [
    ['" a  " | rstrip', ' a'],
    ['"axx" | rstrip: "x"', 'a'],
  ],
  shift: [['list | shift', '[1,2]']],
  size: [
    ['list | size', '3'],
    ['"a😀" | size', '2'],
    ['object | size', '2'],
    ['5 | size', '0'],
    ['nothing | size', '0'],
  ],
  slice: [
    ['"😀bcd" | slice: 0, 2', '😀b'],
    ['"abcd" | slice: -2, 99', 'cd'],
    ['"abcd" | slice: 1', 'b'],
    ['list | slice: 1, 5', '[1,2]'],
    ['object | slice: 0, 4', '{"a"'],
    ['nothing | slice: 0, 4', ''],
  ],
  sort: [
    ['list | sort', '[1,2,3]'],
    ['with_nil | sort', '[1,2,null]'],
    ['users | sort: "age" | map: "name" | join', 'Kim Ada bo'],
    ['words | sort', '["B","a","b"]'],
    ['flags | sort', '[false,true,true,null,null]'],
  ],
  sort_natural: [
    ['words | sort_natural', '["a","b","B"]'],
    ['with_nil | sort_natural', '[1,2,null]'],
  ],
  split: [
    ['"a,b," | split: ","', '["a","b"]'],
    ['"a😀" | split: ""', '["a","😀"]'],
  ],
  squish: [['"  a \\n b " | squish', 'a b']],
  strip: [
    ['"  a " | strip', 'a'],
    ['"xax" | strip: "x"', 'a'],
  ],
  strip_newlines: [['"a\\r\\nb\\nc" | strip_newlines', 'abc']],
  sum: [
    ['list | sum', '6'],
    ['users | sum: "age"', '101'],
    ['users | sum: "pets"', '0'],
  ],
  times: [['3 | times: 1.5', '4.5']],
  truncate: [
    ['"abcdef" | truncate: 5', 'ab...'],
    ['"abcdef" | truncate: 3, ""', 'abc'],
    ['"😀😀" | truncate: 2', '😀😀'],
    ['"abc" | truncate', 'abc'],
  ],
  truncatewords: [
    ['" a  b c" | truncatewords: 2', 'a b...'],
    ['"a b" | truncatewords: 2', 'a b'],
    ['"a b" | truncatewords: 0, "!"', 'a!'],
    ['"a b" | truncatewords', 'a b'],
  ],
  uniq: [['repeated | uniq', '[1,"1",{"a":1},"{\\"a\\":1}"]']],
  unshift: [['list | unshift: 4', '[4,3,1,2]']],
  upcase: [['"straße" | upcase', 'STRASSE']],
  where: [
    ['users | where: "vip" | map: "name" | join', 'Ada'],
    ['users | where: "age", 36 | map: "name" | join', 'Ada bo'],
    ['users | where: "pets" | size', '0'],
    ['users | where: "vip", nil | size', '1'],
    ['object | where: "a", 1 | size', '1'],
    ['nothing | where: "a" | size', '0'],
  ],
};

const VALUES: JsonObject = {
  list: [3, 1, 2],
  with_nil: [1, null, 2],
  words: ['b', 'B', 'a'],
  flags: [true, null, false, true, null],
  repeated: [1, '1', 1, { a: 1 }, { a: 1 }, '{"a":1}'],
  users: USERS,
  object: { b: [2], a: 1 },
  no: false,
};

function made(expression: string): string {
  const missing = expression.includes('nothing') ? '{% assign nothing = nil %}' : '';
  return liquid(`${missing}{{ ${expression} }}`, VALUES);
}

describe('LIQUID has a documented list of tags and filters', () => {
  for (const [name, examples] of Object.entries(EXAMPLES)) {
    it(`the filter ${name}`, () => {
      for (const [expression, text] of examples) assert.equal(made(expression), text, expression);
    });
  }

  it('every filter on the list has an example, and is there', () => {
    assert.deepEqual([...FILTERS.keys()].toSorted(), Object.keys(EXAMPLES).toSorted());
    assert.deepEqual([...liquidFilters.keys()].toSorted(), Object.keys(EXAMPLES).toSorted());
  });

  for (const name of Object.keys(filtersOfLiquidJs).filter((each) => !FILTERS.has(each))) {
    it(`the filter ${name} of LiquidJS is not on it`, () => {
      const description = `the filter "${name}" is not available; docs/templates.md lists those that are`;
      assert.deepEqual(mistakes(`{{ a | ${name}: 1 }}`), [`1:6 NOT_ALLOWED ${description}`]);
    });
  }

  it('a filter has as many arguments as it takes', () => {
    for (const [name, { fewest, most }] of FILTERS) {
      const call = (count: number): string => {
        const first = takesMember(name) ? '"a"' : '1';
        return `{{ 1 | ${name}${count > 0 ? ': ' : ''}${Array.from({ length: count }, () => first).join(', ')} }}`;
      };
      for (let count = fewest; count <= most; count += 1) assert.deepEqual(mistakes(call(count)), [], name);
      const takes = fewest === most ? most : `${fewest} to ${most}`;
      for (const count of [fewest - 1, most + 1].filter((each) => each >= 0)) {
        const description = `${name} has ${count} arguments here; it takes ${takes}`;
        assert.deepEqual(mistakes(call(count)), [`1:6 BAD_SYNTAX ${description}`]);
      }
    }
  });

  it('an argument with a name is that of default', () => {
    assert.deepEqual(mistakes('{{ a | default: 1, allow_false: true }}'), []);
    for (const content of ['{{ a | default: 1, allow: true }}', '{{ a | default: 1, allow_false: }}']) {
      assert.match(mistakes(content)[0]!, /^1:6 BAD_SYNTAX default has no argument "allow/);
    }
    assert.deepEqual(mistakes('{{ a | append: x: "b" }}'), [
      '1:6 BAD_SYNTAX append has 0 arguments here; it takes 1',
      '1:6 BAD_SYNTAX append has no argument "x"',
    ]);
    assert.deepEqual(mistakes('{{ a | map: b: }}').length, 2);
  });

  it('the name of a member stands in quotes', () => {
    for (const member of ['name', '1', '"a b"', '"a[0]"', '".a"', '"a."', '"1a"', '""']) {
      assert.deepEqual(mistakes(`{{ a | where: ${member}, 1 }}`), [
        '1:15 NOT_ALLOWED where takes the name of a member in quotes, as where: "name"',
      ]);
    }
    assert.deepEqual(mistakes(`{{ a | where: 'a.b-c._d', 1 }}`), []);
  });
});

describe('Values have one text form', () => {
  it('in arguments of filters, within lists and in JSON', () => {
    const values = { n: 1e21, z: -0, o: { b: [1], a: 'ü' } };
    const text = '1e+21 0 {"a":"ü","b":[1]}';
    assert.equal(liquid('{{ n }} {{ z }} {{ o }}', values), text);
    assert.equal(liquid('{{ "" | append: n | append: " " | append: z | append: " " | append: o }}', values), text);
    assert.equal(liquid('{% assign l = "" | split: "," | push: n | push: z | push: o %}{{ l | join }}', values), text);
    assert.equal(liquid('{{ n | json }} {{ z | json }} {{ o | json }}', values), text);
  });

  it('a number that is not finite fails where it comes to be', () => {
    const place = 'variables WRONG_TYPE line 1, column 3 of a LIQUID template: the number came to';
    assert.equal(failure('a {{ 1 | divided_by: 0 | at_most: 5 }}'), `${place} Infinity`);
    assert.equal(failure('a {{ 0 | modulo: 0 }}'), `${place} NaN`);
    assert.equal(failure('a {% assign x = n | times: 10 %}', { n: 1e308 }), `${place} Infinity`);
    assert.equal(failure('a {{ l | sum }}', { l: [1e308, 1e308] }), `${place} Infinity`);
  });
});

describe('LIQUID renders deterministically', () => {
  function wrong(expression: string, value: Json): string {
    return failure(`{{ v | ${expression} }}`, { v: value }).replace(/^.*template: /, '');
  }

  it('what is no number does not pass for 0', () => {
    assert.equal(wrong('times: 2', '12 EUR'), 'a number is needed, and this text is none');
    assert.equal(wrong('plus: 2', ' '), 'a number is needed, and this text is none');
    assert.equal(wrong('plus: 2', [1]), 'a list or an object is no number');
    assert.equal(wrong('sum', ['1', {}]), 'a list or an object is no number');
    assert.equal(wrong('truncate: "x"', 'abc'), 'a number is needed, and this text is none');
    assert.equal(wrong('slice: 1.5', 'abc'), 'a whole number from -(2^53 - 1) to 2^53 - 1 is needed');
    assert.equal(wrong('slice: nil', 'abc'), 'a whole number from -(2^53 - 1) to 2^53 - 1 is needed');
  });

  it('what has no order is not sorted as the engine pleases', () => {
    assert.equal(wrong('sort', [2, 'a', 1]), 'a list that has number and string in it has no order');
    assert.equal(
      wrong('sort', [{ a: 1 }]),
      'lists and objects have no order; sort takes the name of a member in quotes',
    );
    assert.equal(wrong('sort: "a"', [{ a: [1] }]), wrong('sort', [[1]]));
  });

  it('what is sorted by equal keys keeps its order', () => {
    const users = Array.from({ length: 500 }, (_, id) => ({ id, age: id % 3 }));
    const ids = users.toSorted((a, b) => a.age - b.age).map(({ id }) => id);
    assert.equal(liquid('{{ users | sort: "age" | map: "id" | json }}', { users }), JSON.stringify(ids));
  });

  it('groups are by value', () => {
    const rows = [{ a: 1 }, { a: '1' }, { a: 1 }, {}, { a: null }];
    assert.equal(
      liquid('{{ rows | group_by: "a" }}', { rows }),
      '[{"items":[{"a":1},{"a":1}],"name":1},{"items":[{"a":"1"}],"name":"1"},{"items":[{},{"a":null}],"name":null}]',
    );
    assert.equal(
      wrong('group_by: "a"', [{ a: {} }]),
      'group_by takes a member that is text, a number, or true or false',
    );
  });

  it('half of a character is not rendered', () => {
    assert.equal(
      wrong('replace: "", "-"', '😀'),
      'the text came to half a character; slice and truncate count whole ones',
    );
  });

  it('filters leave what they are given as it was', () => {
    const content =
      '{% assign a = l | sort | reverse | push: 9 | pop | unshift: 8 | shift | uniq | compact %}{{ l }}{{ a }}';
    assert.equal(liquid(content, { l: [2, 1, 2] }), '[2,1,2][2,1]');
  });
});

describe('LIQUID work is counted', () => {
  const NUMBERS = Array.from({ length: 20_001 }, (_, index) => index);
  const TEXT = 'a'.repeat(200_000);
  /** Makes of a list of two one of 16,384. */
  const MANY = '{% for i in (1..13) %}{% assign l = l | concat: l %}{% endfor %}';
  const LONG = ['e'.repeat(100_000), 'f'.repeat(100_000)];

  const COSTLY: readonly (readonly [what: string, content: string, values: JsonObject])[] = [
    ['a long sort', '{{ l | sort | join: "," }}', { l: NUMBERS }],
    ['a text looked for in a long one', '{{ t | replace_last: p, "x" }}', { t: TEXT, p: 'a'.repeat(900) }],
    ['long texts that are compared again and again', `${MANY}{{ l | uniq | size }}`, { l: LONG }],
    ['long texts that are sorted', `${MANY}{{ l | sort | size }}`, { l: LONG }],
    ['long texts that are put into lower case', `${MANY}{{ l | sort_natural | size }}`, { l: LONG }],
    ['long texts taken for numbers', `${MANY}{{ l | sum }}`, { l: ['0.'.padEnd(9_000, '1'), '0.'.padEnd(9_000, '2')] }],
    ['lists that are compared again and again', `${MANY}{{ l | where: "a", b }}`, { l: [{ a: NUMBERS }], b: NUMBERS }],
    ['a long path', `${MANY}{{ l | where: "a${'.b'.repeat(4_000)}" }}`, { l: [{ a: null }, {}] }],
    ['JSON of a long text', '{% for i in (1..9) %}{{ t | json | size }}{% endfor %}', { t: TEXT }],
    ['JSON of a long name', '{% for i in (1..9) %}{{ t | json | size }}{% endfor %}', { t: { [TEXT]: 1 } }],
    ['counting characters', '{% for i in (1..9) %}{{ t | size }}{% endfor %}', { t: TEXT }],
    ['a separator many times', '{{ l | join: s }}', { l: NUMBERS.slice(9_000), s: 'a'.repeat(1_000) }],
    ['joining nothing', '{% for i in (1..9) %}{{ l | join: "" }}{% endfor %}', { l: NUMBERS.map(() => null) }],
    ['text that doubles', '{% for i in (1..40) %}{% assign t = t | append: t %}{% endfor %}', { t: 'ab' }],
    ['a list that doubles', '{% for i in (1..40) %}{% assign l = l | concat: l %}{% endfor %}', { l: [1, 2] }],
  ];

  for (const [what, content, values] of COSTLY) {
    it(`${what} ends at the limit`, () => assert.equal(failure(content, values), 'RenderTooCostly'));
  }

  it('a list that holds itself many times over is never written', () => {
    const nested =
      '{% assign x = l %}{% for i in (1..60) %}{% assign y = l | push: x | push: x %}{% assign x = y %}{% endfor %}';
    for (const use of ['{{ x }}', '{{ x | json }}', '{{ x | join }}', '{{ x | uniq }}', '{% if x == x %}{% endif %}']) {
      assert.equal(failure(nested + use, { l: [] }), 'RenderTooCostly', use);
    }
    for (const use of ['{{ x | plus: 1 }}', '{{ x | sum }}', '{{ x | sort }}', '{% if x > 1 %}{% endif %}']) {
      assert.match(failure(nested + use, { l: [] }), /^variables WRONG_TYPE/, use);
    }
  });

  it('lists that filters make have 64 levels at most', () => {
    const nested = (levels: number): string => {
      return `{% assign x = l %}{% for i in (2..${levels}) %}{% assign x = e | push: x %}{% endfor %}{{ x }}`;
    };
    assert.equal(liquid(nested(64), { l: [], e: [] }), '['.repeat(64) + ']'.repeat(64));
    assert.match(failure(nested(65), { l: [], e: [] }), /template: lists and objects have at most 64 levels$/);
  });

  it('a slice costs what there is, not what was asked for', () => {
    assert.equal(liquid('{{ "abc" | slice: 1, 9007199254740991 }}'), 'bc');
  });
});
