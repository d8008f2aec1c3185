import assert from 'node:assert/strict';
import {
  constraintInstructions,
  type ConstraintRule,
  constraintsJson,
  normalizeConstraints,
  parseConstraints,
  type UncheckedConstraint,
} from '../../../src/domain/constraint.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { accepted, refusalsOf, violationsOf } from '../../support/violations.ts';

function constraint(
  id: string,
  rule: ConstraintRule | undefined,
  given: Partial<UncheckedConstraint> = {},
): UncheckedConstraint {
  return { id, severity: 'ERROR', instruction: '', rule, ...given };
}

function normalized(...list: UncheckedConstraint[]) {
  return accepted((violations) => normalizeConstraints(violations, 'c', list));
}

function refusals(...list: UncheckedConstraint[]): string[] {
  return refusalsOf((violations) => normalizeConstraints(violations, 'c', list));
}

function descriptions(...rules: ConstraintRule[]): string[] {
  const list = rules.map((rule, index) => constraint(`c${index}`, rule));
  return violationsOf((violations) => normalizeConstraints(violations, 'c', list)).map(
    ({ field, reason, description }) => `${field} ${reason} ${description}`,
  );
}

const LENGTH: ConstraintRule = { kind: 'max_chars', value: 100 };

describe('A constraint holds one rule', () => {
  it('no rule, and a repeated id', () => {
    assert.deepEqual(refusals(constraint('a', undefined), constraint('len', LENGTH), constraint('len', LENGTH)), [
      'c[0].rule REQUIRED',
      'c[2].id DUPLICATE',
    ]);
  });

  it('an id, a severity, a short instruction', () => {
    const bare = constraint('', LENGTH, { severity: '', instruction: 'x'.repeat(1001) });
    assert.deepEqual(refusals(bare, bare), [
      'c[0].id REQUIRED',
      'c[0].instruction TOO_LONG',
      'c[0].severity UNSPECIFIED',
      'c[1].id REQUIRED',
      'c[1].instruction TOO_LONG',
      'c[1].severity UNSPECIFIED',
    ]);
  });

  it('numbers from 1 to 1,000,000', () => {
    for (const value of [0, -1, 1.5, 1_000_001, Number.NaN]) {
      assert.deepEqual(refusals(constraint('a', { kind: 'min_chars', value })), ['c[0].min_chars OUT_OF_RANGE']);
    }
    assert.deepEqual(refusals(constraint('a', { kind: 'max_words', value: 1_000_000 })), []);
  });

  it('1 to 100 phrases of 1 to 500 characters', () => {
    assert.deepEqual(refusals(constraint('a', { kind: 'required_phrases', value: [] })), [
      'c[0].required_phrases REQUIRED',
    ]);
    const phrases = Array.from({ length: 101 }, (_, index) => `phrase ${index}`);
    assert.deepEqual(refusals(constraint('a', { kind: 'forbidden_phrases', value: phrases })), [
      'c[0].forbidden_phrases TOO_MANY',
    ]);
    assert.deepEqual(refusals(constraint('a', { kind: 'forbidden_phrases', value: ['x', ' \n', 'y'.repeat(501)] })), [
      'c[0].forbidden_phrases.phrases[1] BLANK',
      'c[0].forbidden_phrases.phrases[2] TOO_LONG',
    ]);
  });

  it('at most 100 constraints', () => {
    const list = Array.from({ length: 101 }, (_, index) => constraint(`c${index}`, LENGTH));
    assert.deepEqual(refusals(...list.slice(1)), []);
    assert.deepEqual(refusals(...list), ['c TOO_MANY']);
  });
});

describe('Constraints are normalized on insert', () => {
  it('phrases are trimmed, in NFC, deduplicated and sorted by UTF-16 code unit', () => {
    const value = [' beta', 'Alpha', 'beta', 'e\u0301\r\nx', '\uFF5E', '😀'];
    assert.deepEqual(normalized(constraint('a', { kind: 'forbidden_phrases', value }))[0]?.rule, {
      kind: 'forbidden_phrases',
      value: ['Alpha', 'beta', 'é\nx', '😀', '\uFF5E'],
    });
  });

  it('constraints are sorted by id, instructions trimmed', () => {
    const list = normalized(
      constraint('b', LENGTH, { instruction: ' Short.\r\nVery. ' }),
      constraint('a', LENGTH, { severity: 'WARNING' }),
    );
    assert.deepEqual(list, [
      { id: 'a', severity: 'WARNING', instruction: '', rule: LENGTH },
      { id: 'b', severity: 'ERROR', instruction: 'Short.\nVery.', rule: LENGTH },
    ]);
  });

  it('every rule is read back from JSON as it was', () => {
    const list = normalized(
      constraint('a', { kind: 'max_chars', value: 9 }),
      constraint('b', { kind: 'min_chars', value: 1 }),
      constraint('c', { kind: 'max_words', value: 3 }),
      constraint('d', { kind: 'required_phrases', value: ['x'] }, { instruction: 'Say x.' }),
      constraint('e', { kind: 'forbidden_phrases', value: ['y', 'z'] }, { severity: 'WARNING' }),
      constraint('f', { kind: 'required_pattern', value: 'x+' }),
      constraint('g', { kind: 'forbidden_pattern', value: 'y+' }),
      constraint('h', { kind: 'json_schema', value: { type: 'object' } }),
    );
    const json = constraintsJson(list);
    assert.deepEqual(json.slice(3, 5), [
      { id: 'd', severity: 'ERROR', instruction: 'Say x.', required_phrases: ['x'] },
      { id: 'e', severity: 'WARNING', forbidden_phrases: ['y', 'z'] },
    ]);
    assert.deepEqual(parseConstraints(json), list);
  });
});

describe('Constraints that cannot compile are refused', () => {
  it('backreference and broken schema', () => {
    assert.deepEqual(
      refusals(
        constraint('a', { kind: 'required_pattern', value: '(a)\\1' }),
        constraint('b', { kind: 'json_schema', value: { type: 5 } }),
      ),
      ['c[0].required_pattern DOES_NOT_COMPILE', 'c[1].json_schema DOES_NOT_COMPILE'],
    );
  });

  it('an empty pattern, and one that is too long', () => {
    assert.deepEqual(
      refusals(
        constraint('a', { kind: 'required_pattern', value: '' }),
        constraint('b', { kind: 'forbidden_pattern', value: 'a'.repeat(1001) }),
      ),
      ['c[0].required_pattern REQUIRED', 'c[1].forbidden_pattern TOO_LONG'],
    );
  });
});

describe('A bundle is bounded', () => {
  it('its patterns compile to 100,000 instructions together, those of schemas counted', () => {
    const patterns = (count: number) =>
      Array.from({ length: count }, (_, index) => {
        return constraint(`p${index}`, { kind: 'forbidden_pattern', value: `.{1,999}${index}` });
      });
    const schema = constraint('s', { kind: 'json_schema', value: { pattern: '.{1,1000}' } });
    assert.deepEqual(refusals(...patterns(48)), []);
    assert.deepEqual(refusals(...patterns(49), schema, schema), ['c[50].id DUPLICATE', 'c TOO_COMPLEX']);
  });

  it('schemas have at most 64 KiB and 64 levels', () => {
    const schema = (title: string) => constraint('a', { kind: 'json_schema', value: { title } });
    assert.deepEqual(refusals(schema('x'.repeat(65_524))), []);
    assert.deepEqual(refusals(schema('x'.repeat(65_525))), ['c[0].json_schema TOO_LARGE']);
    let deep: JsonObject = {};
    for (let level = 0; level < 64; level += 1) deep = { not: deep };
    assert.deepEqual(refusals(constraint('a', { kind: 'json_schema', value: deep })), ['c[0].json_schema TOO_LARGE']);
  });

  it('the rules of all constraints have at most 256 KiB together; more are not looked into', () => {
    const phrases = (length: number) => Array.from({ length: 100 }, (_, i) => `${i}`.padStart(length, 'x'));
    const list = (length: number, pattern: string) => [
      ...Array.from({ length: 5 }, (_, i) => constraint(`p${i}`, { kind: 'required_phrases', value: phrases(length) })),
      constraint('q', { kind: 'required_pattern', value: pattern }),
    ];
    assert.deepEqual(refusals(...list(500, 'a')), []);
    assert.deepEqual(refusals(...list(500, '(')), ['c[5].required_pattern DOES_NOT_COMPILE']);
    const more = constraint('r', { kind: 'forbidden_phrases', value: phrases(400).map((phrase) => `${phrase}y`) });
    assert.deepEqual(refusals(...list(500, '('), more), ['c TOO_LARGE']);
  });
});

describe('Contradictory constraints are refused', () => {
  const contradict = (ids: string, problem: string) =>
    `constraints ${ids} contradict each other: ${problem}; change or remove one of them`;

  it('a minimum over a maximum, whichever comes first', () => {
    const problem = 'at least 200 and at most 100 characters are demanded';
    assert.deepEqual(descriptions({ kind: 'min_chars', value: 200 }, LENGTH), [
      `c[1].max_chars CONTRADICTION ${contradict('c0 and c1', problem)}`,
    ]);
    assert.deepEqual(descriptions(LENGTH, { kind: 'min_chars', value: 200 }), [
      `c[1].min_chars CONTRADICTION ${contradict('c0 and c1', problem)}`,
    ]);
    assert.deepEqual(descriptions(LENGTH, { kind: 'min_chars', value: 100 }), []);
  });

  it('a phrase both required and forbidden', () => {
    assert.deepEqual(
      descriptions(
        { kind: 'required_phrases', value: ['ok', 'refund'] },
        { kind: 'forbidden_phrases', value: ['refund ', 'zzz'] },
      ),
      [`c[1].forbidden_phrases CONTRADICTION ${contradict('c0 and c1', '"refund" is both required and forbidden')}`],
    );
  });

  it('a required phrase that contains a forbidden one, not the other way round', () => {
    const problem = 'the required "full refund" contains the forbidden "refund"';
    assert.deepEqual(
      descriptions(
        { kind: 'forbidden_phrases', value: ['refund'] },
        { kind: 'required_phrases', value: ['full refund'] },
      ),
      [`c[1].required_phrases CONTRADICTION ${contradict('c0 and c1', problem)}`],
    );
    assert.deepEqual(
      descriptions(
        { kind: 'forbidden_phrases', value: ['full refund'] },
        { kind: 'required_phrases', value: ['refund'] },
      ),
      [],
    );
  });

  it('a required phrase longer than the maximum', () => {
    assert.deepEqual(
      descriptions({ kind: 'required_phrases', value: ['ab', 'abcd'] }, { kind: 'max_chars', value: 3 }),
      [`c[1].max_chars CONTRADICTION ${contradict('c0 and c1', 'the required "abcd" is longer than 3 characters')}`],
    );
    assert.deepEqual(
      descriptions({ kind: 'required_phrases', value: ['😀😀😀'] }, { kind: 'max_chars', value: 3 }),
      [],
    );
  });

  it('one pattern both required and forbidden', () => {
    const problem = 'the pattern "a+" is both required and forbidden';
    assert.deepEqual(
      descriptions({ kind: 'required_pattern', value: 'a+' }, { kind: 'forbidden_pattern', value: 'a+' }),
      [`c[1].forbidden_pattern CONTRADICTION ${contradict('c0 and c1', problem)}`],
    );
    assert.deepEqual(
      descriptions({ kind: 'required_pattern', value: 'a+' }, { kind: 'forbidden_pattern', value: 'a*' }),
      [],
    );
  });

  it('one violation for each pair, and none with a rule that is refused itself', () => {
    assert.deepEqual(
      refusals(
        constraint('a', { kind: 'min_chars', value: 20 }),
        constraint('b', { kind: 'max_chars', value: 10 }),
        constraint('c', { kind: 'max_chars', value: 5 }),
        constraint('d', { kind: 'max_chars', value: 0 }),
      ),
      ['c[3].max_chars OUT_OF_RANGE', 'c[1].max_chars CONTRADICTION', 'c[2].max_chars CONTRADICTION'],
    );
  });
});

describe('Constraints are written into the prompt', () => {
  it('nothing is written without constraints', () => {
    assert.equal(constraintInstructions([]), '');
  });

  it('made from the rule, "Must" for errors and "Should" for warnings', () => {
    const list = [
      constraint('a', { kind: 'max_chars', value: 1 }, { severity: 'WARNING' }),
      constraint('b', { kind: 'max_chars', value: 9 }),
      constraint('c', { kind: 'min_chars', value: 1 }),
      constraint('d', { kind: 'max_words', value: 1 }),
      constraint('e', { kind: 'max_words', value: 2 }),
      constraint('f', { kind: 'required_phrases', value: ['b"', 'a'] }),
      constraint('g', { kind: 'forbidden_phrases', value: ['é\n.'] }),
      constraint('h', { kind: 'required_pattern', value: '\\d+' }),
      constraint('i', { kind: 'forbidden_pattern', value: 'x$' }, { severity: 'WARNING' }),
      constraint('j', { kind: 'json_schema', value: { type: 'object', required: ['a'] } }),
      constraint('k', { kind: 'max_words', value: 7 }, { instruction: 'Keep it to a tweet.' }),
    ];
    assert.equal(
      constraintInstructions(list.flatMap((each) => normalized(each))),
      `Your answer must follow these rules:
- Should be at most 1 character long.
- Must be at most 9 characters long.
- Must be at least 1 character long.
- Must be at most 1 word long.
- Must be at most 2 words long.
- Must contain each of these phrases: "a", "b\\"".
- Must not contain any of these phrases: "é\\n.".
- Must match the regular expression "\\\\d+".
- Should not match the regular expression "x$".
- Must be JSON that is valid under this JSON Schema: {"required":["a"],"type":"object"}
- Keep it to a tweet.`,
    );
  });
});
