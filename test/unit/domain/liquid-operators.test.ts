import assert from 'node:assert/strict';
import type { JsonObject } from '../../../src/domain/json.ts';
import { failure, liquid } from '../../support/liquid.ts';

const VALUES: JsonObject = {
  a: 'abc',
  n: 5,
  ten: '10',
  yes: true,
  no: false,
  list: [1, 'two', [3], { four: 4 }],
  same: [1, 'two', [3], { four: 4 }],
  object: { b: 1, a: [2] },
  equal_object: { a: [2], b: 1 },
  none: [],
  empty_object: {},
  spaces: ' \n',
  smile: '😀',
};

function holds(condition: string, values: JsonObject = VALUES): boolean {
  return liquid(`{% assign nothing = nil %}{% if ${condition} %}yes{% endif %}`, values) === 'yes';
}

function allHold(conditions: readonly string[]): void {
  for (const condition of conditions) assert.ok(holds(condition), condition);
}

function noneHolds(conditions: readonly string[]): void {
  for (const condition of conditions) assert.ok(!holds(condition), condition);
}

describe('LIQUID renders deterministically', () => {
  it('values are equal if they are the same text, number, list or object', () => {
    allHold(['a == "abc"', 'n == 5.0', 'list == same', 'object == equal_object', 'nothing == nil', 'object.c == nil']);
    allHold(['list[3] == same[3]', 'a != "abd"', 'n != "5"', 'list != none', 'object != empty_object', 'no != nil']);
    noneHolds(['a == 5', 'list == object', 'list == "[1]"', 'object == nil', 'yes == 1']);
  });

  it('numbers are compared as numbers, texts as texts, by code unit', () => {
    allHold(['n < 6', 'n <= 5', 'n > 4.5', 'n >= 5', '"a" < "b"', '"B" < "a"', '"10" < "9"', 'a >= "abc"']);
    allHold(['smile < "\uFFFD"', 'ten > 9', '9 < ten', 'yes > 0']);
    noneHolds(['n < 5', 'n > 5', '"b" <= "a"', 'ten < 9']);
  });

  it('nothing is before or after nil', () => {
    noneHolds(['nothing < 1', 'nothing > -1', '1 > nothing', 'nothing <= nil', 'object.c < 1', 'nil >= nil']);
  });

  it('what has no order fails', () => {
    const number = 'a number is needed, and this text is none';
    assert.ok(
      failure('{% if a > 3 %}{% endif %}', VALUES).endsWith(`line 1, column 1 of a LIQUID template: ${number}`),
    );
    for (const condition of ['list < 1', '1 < object', 'list < list', 'a > list']) {
      assert.match(failure(`{% if ${condition} %}{% endif %}`, VALUES), /^variables WRONG_TYPE line 1, column 1 /);
    }
  });

  it('contains looks for text in text, and for an item in a list', () => {
    allHold([
      'a contains "bc"',
      'a contains ""',
      'list contains "two"',
      'list contains list[2]',
      'list contains same[3]',
    ]);
    allHold(['"a5" contains n', '"[3]!" contains list[2]']);
    noneHolds(['a contains "x"', '"null" contains nothing', 'list contains 3', 'n contains 5', 'object contains "b"']);
    noneHolds(['none contains nil', 'nothing contains "a"']);
  });

  it('empty is of no length, blank is of white space only or false, nil is no value', () => {
    allHold([
      'none == empty',
      'empty_object == empty',
      '"" == empty',
      'empty == none',
      'spaces == blank',
      'no == blank',
    ]);
    allHold(['nothing == blank', 'blank == spaces', 'none == blank', 'a != empty', 'list != empty', 'object != empty']);
    noneHolds(['nothing == empty', 'spaces == empty', 'empty == empty', 'n == empty', 'a == nil', 'none == nil']);
  });

  it('all is true but false and nil', () => {
    allHold(['yes', '0', '""', 'none', 'empty_object', 'not nothing', 'not no', 'not object.c']);
    noneHolds(['no', 'nothing', 'object.c', 'not yes', 'not 0']);
  });

  it('and and or are read from right to left, not before them', () => {
    allHold(['yes or yes and no', 'not no and yes', 'not n == 6', 'yes and not no']);
    noneHolds(['no and no or yes', 'not yes or no']);
  });
});

describe('LIQUID work is counted', () => {
  const TEXT = ' '.repeat(250_000);
  const TALL: JsonObject = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, 1]));
  const WIDE: JsonObject = Object.fromEntries(Object.entries(TALL).slice(0, 5_000));
  const LIST = Array.from({ length: 20_000 }, (_, index) => index);

  const COSTLY: readonly (readonly [what: string, condition: string, values: JsonObject])[] = [
    ['equal texts', 't == u', { t: TEXT, u: TEXT.slice(1) + TEXT.charAt(0) }],
    ['ordered texts', 't < u', { t: TEXT, u: TEXT.slice(1) + TEXT.charAt(0) }],
    ['a text that is blank', 't == blank', { t: TEXT }],
    ['members that are counted', 'o == empty', { o: TALL }],
    ['members whose size is read', 'o.size > 3', { o: TALL }],
    ['lists', 'l == m', { l: LIST, m: [...LIST, 1] }],
    ['objects', 'o == p', { o: { o: WIDE }, p: { o: { ...WIDE, x: 1 } } }],
    ['an item in a list', 'l contains -1', { l: LIST }],
    ['a text in a text', 't contains u', { t: TEXT, u: TEXT.slice(0, 90) }],
    ['a text taken for a number', 't > 1', { t: '0.'.padEnd(250_000, '1') }],
    ['a long name of a member', 'o[t] == 1', { o: {}, t: TEXT }],
  ];

  for (const [what, condition, values] of COSTLY) {
    it(`comparing ${what} is not free`, () => {
      assert.match(liquid(`{% if ${condition} %}{% endif %}.`, values), /^\.$/);
      const content = `{% for i in (1..60) %}{% if ${condition} %}{% endif %}{% endfor %}`;
      assert.equal(failure(content, values), 'RenderTooCostly');
    });
  }

  it('texts of different lengths are not looked at', () => {
    const content = '{% for i in (1..3000) %}{% if t == "" %}{% endif %}{% endfor %}.';
    assert.equal(liquid(content, { t: TEXT }), '.');
  });
});
