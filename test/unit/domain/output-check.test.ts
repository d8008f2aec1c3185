import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Constraint, ConstraintRule, Severity } from '../../../src/domain/constraint.ts';
import { compileConstraints, type OutputViolation } from '../../../src/domain/output-check.ts';

function constraint(rule: ConstraintRule, id = 'c', severity: Severity = 'ERROR'): Constraint {
  return { id, severity, instruction: '', rule };
}

function judge(output: string, ...rules: ConstraintRule[]) {
  return compileConstraints(rules.map((rule) => constraint(rule))).judge(output);
}

function told({ message, place }: OutputViolation): string {
  return place ? `${place.offset}+${place.length} ${JSON.stringify(place.excerpt)}: ${message}` : message;
}

function breaches(output: string, ...rules: ConstraintRule[]): string[] {
  return judge(output, ...rules).violations.map(told);
}

describe('CheckOutput enforces the constraints', () => {
  it('too long, and a forbidden phrase', () => {
    const output = `We guarantee it.${'x'.repeat(104)}`;
    const judgement = compileConstraints([
      constraint({ kind: 'max_chars', value: 100 }, 'len'),
      constraint({ kind: 'forbidden_phrases', value: ['guarantee'] }, 'promise', 'WARNING'),
    ]).judge(output);
    assert.deepEqual(judgement, {
      passed: false,
      total: 2,
      violations: [
        {
          constraintId: 'len',
          severity: 'ERROR',
          message: 'has 120 characters; at most 100 are allowed',
          place: { offset: 100, length: 20, excerpt: 'x'.repeat(20) },
          jsonPointer: '',
        },
        {
          constraintId: 'promise',
          severity: 'WARNING',
          message: 'contains the forbidden phrase "guarantee"',
          place: { offset: 3, length: 9, excerpt: 'guarantee' },
          jsonPointer: '',
        },
      ],
    });
  });

  it('passes with breaches of severity WARNING only, and without any', () => {
    const rule: ConstraintRule = { kind: 'max_words', value: 1 };
    assert.equal(compileConstraints([constraint(rule, 'w', 'WARNING')]).judge('two words').passed, true);
    assert.deepEqual(compileConstraints([]).judge('x'), { passed: true, total: 0, violations: [] });
  });

  const cases: [string, string, ConstraintRule, string[]][] = [
    ['as long as allowed', 'äöü', { kind: 'max_chars', value: 3 }, []],
    ['characters are code points of NFC', 'a\u0308\u{1F600}b', { kind: 'max_chars', value: 2 }, ['2+1 "b": has 3 characters; at most 2 are allowed']],
    ['too short', 'ab', { kind: 'min_chars', value: 3 }, ['2+0 "": has 2 characters; at least 3 are required']],
    ['long enough', 'abc', { kind: 'min_chars', value: 3 }, []],
    ['too many words', ' one  two\nthree ', { kind: 'max_words', value: 2 }, ['10+6 "three ": has 3 words; at most 2 are allowed']],
    ['many words too many', 'one two three', { kind: 'max_words', value: 1 }, ['4+9 "two three": has 3 words; at most 1 is allowed']],
    ['as many words as allowed', 'one two', { kind: 'max_words', value: 2 }, []],
    ['each missing phrase', 'b', { kind: 'required_phrases', value: ['a', 'b', 'c'] }, ['does not contain the required phrase "a"', 'does not contain the required phrase "c"']],
    ['a phrase in another form of Unicode', 'Cafe\u0301', { kind: 'required_phrases', value: ['Café'] }, []],
    ['each occurrence of a phrase, by place', 'b a a', { kind: 'forbidden_phrases', value: ['a', 'b'] }, ['0+1 "b": contains the forbidden phrase "b"', '2+1 "a": contains the forbidden phrase "a"', '4+1 "a": contains the forbidden phrase "a"']],
    ['occurrences of a phrase do not overlap', 'aaa', { kind: 'forbidden_phrases', value: ['aa'] }, ['0+2 "aa": contains the forbidden phrase "aa"']],
    ['a pattern that does not match', 'abc', { kind: 'required_pattern', value: '^b' }, ['does not match the required pattern "^b"']],
    ['a pattern that matches anywhere', 'abc', { kind: 'required_pattern', value: 'b' }, []],
    ['each match of a pattern', 'é 12 345', { kind: 'forbidden_pattern', value: '[0-9]+' }, ['2+2 "12": matches the forbidden pattern "[0-9]+"', '5+3 "345": matches the forbidden pattern "[0-9]+"']],
    ['an empty match', 'a\n\nb', { kind: 'forbidden_pattern', value: '(?m)^$' }, ['2+0 "": matches the forbidden pattern "(?m)^$"']],
    ['a pattern that does not occur', 'abc', { kind: 'forbidden_pattern', value: 'x' }, []],
    ['what is no JSON', '{"a" 1}', { kind: 'json_schema', value: {} }, ['5+1 "1": cannot be read as JSON: colon expected at line 1, column 6']],
    ['JSON in a code fence', '```json\n{}\n```', { kind: 'json_schema', value: {} }, ['0+7 "```json": cannot be read as JSON: invalid symbol at line 1, column 1; the answer has to be JSON alone, without a code fence']],
    ['JSON that is valid', '{"a": 1}', { kind: 'json_schema', value: { required: ['a'] } }, []],
    ['JSON that is not valid', '{"é": [1, "x"]}', { kind: 'json_schema', value: { additionalProperties: { items: { type: 'integer' } } } }, ['10+3 "\\"x\\"": must be integer; found "x"']],
    ['a schema without an end', '1', { kind: 'json_schema', value: { $ref: '#' } }, ['0+1 "1": cannot be checked against the JSON Schema: it refers to itself without end, or too deep for this output']],
  ];
  for (const [title, output, rule, expected] of cases) {
    it(title, () => assert.deepEqual(breaches(output, rule), expected));
  }

  it('the value in question is named by its JSON Pointer', () => {
    const { violations } = judge('{"a/b": [true]}', { kind: 'json_schema', value: { properties: { 'a/b': { items: { type: 'null' } } } } });
    assert.deepEqual(violations.map(({ jsonPointer }) => jsonPointer), ['/a~1b/0']);
  });

  it('of one constraint the first 100 breaches are listed, all are counted', () => {
    const judgement = judge('a '.repeat(150), { kind: 'forbidden_phrases', value: ['a'] }, { kind: 'forbidden_pattern', value: 'a' });
    assert.deepEqual([judgement.violations.length, judgement.total], [200, 300]);
    assert.equal(judgement.violations[99]!.place!.offset, 198);
  });

  it('an excerpt has at most 100 characters', () => {
    const [violation] = judge('\u{1F600}'.repeat(300), { kind: 'max_chars', value: 1 }).violations;
    assert.deepEqual(violation!.place, { offset: 1, length: 299, excerpt: '\u{1F600}'.repeat(100) });
  });

  it('1 MiB is judged', () => {
    const output = 'x'.repeat(1024 * 1024 - 1).concat('y');
    assert.deepEqual(breaches(output, { kind: 'forbidden_pattern', value: 'y$' }), ['1048575+1 "y": matches the forbidden pattern "y$"']);
  });

  it('the excerpt stands at its place in the NFC of the output, whatever the output', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }), (text, raw) => {
        const phrase = raw.normalize('NFC');
        const characters = [...text.normalize('NFC')];
        for (const { place } of judge(text, { kind: 'forbidden_phrases', value: [phrase] }, { kind: 'max_chars', value: 3 }).violations) {
          const { offset, length, excerpt } = place!;
          assert.equal(characters.slice(offset, offset + length).slice(0, 100).join(''), excerpt);
        }
      }),
    );
  });

  it('tells roughly what it takes of memory', () => {
    const one = compileConstraints([constraint({ kind: 'forbidden_pattern', value: 'a{1,100}' })]).bytes;
    const schema = compileConstraints([constraint({ kind: 'json_schema', value: { pattern: 'a' } })]).bytes;
    assert.ok(one > 50_000 && schema > 16_000);
  });
});
