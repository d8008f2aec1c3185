import assert from 'node:assert/strict';
import type { Json, JsonObject } from '../../../src/domain/json.ts';
import {
  checkPatterns,
  type EffectiveDeclaration,
  mergeDeclarations,
  normalizeDeclarations,
  type UncheckedDeclaration,
} from '../../../src/domain/variable-declaration.ts';
import type { SnapshotVariables } from '../../../src/domain/variable-rules.ts';
import {
  checkSentValues,
  checkValues,
  compileVariables,
  type ResolvedVariables,
  untrustedVariables,
  valueText,
  variableViolations,
} from '../../../src/domain/variables.ts';
import { declaration } from '../../support/drafts.ts';
import { accepted, refusalsOf, violationsOf } from '../../support/violations.ts';

type Given = Partial<UncheckedDeclaration>;

function refusals(...list: Given[]): string[] {
  return refusalsOf((violations) => normalizeDeclarations(violations, 'v', list.map(declaration)));
}

function descriptions(...list: Given[]): string[] {
  const violations = violationsOf((all) => normalizeDeclarations(all, 'v', list.map(declaration)));
  return violations.map(({ description }) => description);
}

function explicit(given: Given): EffectiveDeclaration {
  const [normalized] = accepted((violations) => normalizeDeclarations(violations, 'v', [declaration(given)]));
  return { ...(normalized as EffectiveDeclaration), inferred: false };
}

function inferred(name: string): EffectiveDeclaration {
  return { ...explicit({ name, required: true }), inferred: true };
}

function resolve(rules: SnapshotVariables, request: JsonObject, tenant: JsonObject = {}): ResolvedVariables {
  return compileVariables(rules).resolve(tenant, request);
}

/** What is said of a value of the variable `v`. */
function complaint(rules: SnapshotVariables[string], value: Json): string | undefined {
  return resolve({ v: rules }, { v: value }).invalid[0]?.message;
}

describe('A declaration must be consistent', () => {
  it('four mistakes are four violations', () => {
    assert.deepEqual(
      refusals(
        { name: 'a', type: 'INTEGER', maxLength: 3 },
        { name: 'b', type: 'ENUM' },
        { name: 'c', maxLength: 3, default: 'abcd' },
        { name: 'd', required: true, default: 'x' },
      ),
      [
        'v[0].max_length NOT_APPLICABLE',
        'v[1].enum_values REQUIRED',
        'v[2].default WRONG_TYPE',
        'v[3].default CONTRADICTION',
      ],
    );
  });

  it('only the rules of its type', () => {
    assert.deepEqual(
      refusals({ type: 'ENUM', enumValues: ['a'], maxLength: 1, pattern: 'a' }, { name: 's', enumValues: ['a'] }),
      ['v[0].max_length NOT_APPLICABLE', 'v[0].pattern NOT_APPLICABLE', 'v[1].enum_values NOT_APPLICABLE'],
    );
  });

  it('untrusted is what can carry text of its own', () => {
    assert.deepEqual(
      refusals(
        { name: 'a', untrusted: true, maxLength: 9, pattern: 'x*', default: 'x' },
        { name: 'b', type: 'LIST', untrusted: true },
        { name: 'c', type: 'OBJECT', untrusted: true, required: true },
      ),
      [],
    );
    assert.deepEqual(
      refusals(
        { name: 'a', type: 'INTEGER', untrusted: true },
        { name: 'b', type: 'NUMBER', untrusted: true },
        { name: 'c', type: 'BOOLEAN', untrusted: true },
        { name: 'd', type: 'ENUM', enumValues: ['x'], untrusted: true },
        { name: 'e', type: '', untrusted: true },
      ),
      [
        'v[0].untrusted NOT_APPLICABLE',
        'v[1].untrusted NOT_APPLICABLE',
        'v[2].untrusted NOT_APPLICABLE',
        'v[3].untrusted NOT_APPLICABLE',
        'v[4].type UNSPECIFIED',
      ],
    );
    assert.deepEqual(descriptions({ type: 'ENUM', enumValues: ['x'], untrusted: true }), [
      'only a STRING, LIST or OBJECT can be untrusted: no other value can carry text of its own',
    ]);
  });

  it('names of the grammar, each once', () => {
    assert.deepEqual(refusals({ name: 'Bad' }, { name: '' }, { name: '' }, { name: 'a' }, { name: 'a' }), [
      'v[0].name BAD_FORMAT',
      'v[1].name REQUIRED',
      'v[2].name REQUIRED',
      'v[4].name DUPLICATE',
    ]);
  });

  it('a type', () => {
    assert.deepEqual(descriptions({ type: '' }), [
      'must be one of STRING, INTEGER, NUMBER, BOOLEAN, ENUM, LIST, OBJECT',
    ]);
  });

  it('bounded rules', () => {
    assert.deepEqual(refusals({ maxLength: 262_144 }), []);
    assert.deepEqual(refusals({ maxLength: 262_145 }), ['v[0].max_length OUT_OF_RANGE']);
    assert.deepEqual(refusals({ maxLength: -1 }), ['v[0].max_length OUT_OF_RANGE']);
    assert.deepEqual(refusals({ maxLength: 1.5 }), ['v[0].max_length OUT_OF_RANGE']);
    assert.deepEqual(refusals({ pattern: 'a'.repeat(1001) }), ['v[0].pattern TOO_LONG']);
    assert.deepEqual(refusals({ description: 'a'.repeat(1001) }), ['v[0].description TOO_LONG']);
  });

  it('a pattern that does not compile', () => {
    assert.deepEqual(refusals({ pattern: '(a', default: 'b' }), ['v[0].pattern DOES_NOT_COMPILE']);
  });

  it('enum values: 1 to 100, at most 200 characters, no two equal after NFC', () => {
    const values = Array.from({ length: 101 }, (_, index) => `value ${index}`);
    assert.deepEqual(refusals({ type: 'ENUM', enumValues: values.slice(1) }), []);
    assert.deepEqual(refusals({ type: 'ENUM', enumValues: values }), ['v[0].enum_values TOO_MANY']);
    assert.deepEqual(refusals({ type: 'ENUM', enumValues: ['x'.repeat(201), 'é', 'e\u0301'] }), [
      'v[0].enum_values[0] TOO_LONG',
      'v[0].enum_values[2] DUPLICATE',
    ]);
  });

  it('a default that obeys the rules', () => {
    assert.deepEqual(
      descriptions(
        { name: 'a', type: 'INTEGER', default: 'x' },
        { name: 'b', pattern: '[0-9]+', default: 'x' },
        { name: 'c', type: 'ENUM', enumValues: ['x', 'y'], default: 'z' },
        { name: 'd', type: 'NUMBER', default: Number.NaN },
      ),
      [
        'the default must be a whole number between -(2^53 - 1) and 2^53 - 1 (INTEGER); it is a string',
        'the default must match the pattern "[0-9]+" as a whole',
        'the default must be one of "x", "y"',
        'must be a finite number: JSON has no NaN and no infinities',
      ],
    );
  });

  it('at most 128 declarations', () => {
    const list = Array.from({ length: 129 }, (_, index) => ({ name: `v${index}` }));
    assert.deepEqual(refusals(...list.slice(1)), []);
    assert.deepEqual(refusals(...list), ['v TOO_MANY']);
  });

  it('a default of null is none, with required too', () => {
    const { inferred: _, ...normalized } = explicit({ required: true, default: null });
    assert.deepEqual(normalized, declaration({ required: true }));
  });
});

describe('Conflicting declarations are refused', () => {
  const source = (field: string, ...declarations: EffectiveDeclaration[]) => ({
    field,
    templateId: `t-${field}`,
    declarations,
  });

  it('two types of one name, naming both templates', () => {
    const age = explicit({ name: 'age', type: 'INTEGER' });
    const sources = [source('a', age), source('b', explicit({ name: 'age' }))];
    assert.deepEqual(violationsOf((violations) => mergeDeclarations(violations, sources)), [
      {
        field: 'b',
        reason: 'CONFLICT',
        description:
          'variable age is declared as {"type":"STRING"} by template t-b and as {"type":"INTEGER"} by template ' +
          't-a (a); make both the same, or rename one',
      },
    ]);
  });

  it('any rule counts, a description does not', () => {
    const tone = explicit({ name: 'tone', default: 'calm', description: 'One.' });
    const same = explicit({ name: 'tone', default: 'calm', description: 'Another.' });
    const other = explicit({ name: 'tone', default: 'warm' });
    assert.deepEqual(
      accepted((violations) => mergeDeclarations(violations, [source('a', tone), source('b', same)])),
      { tone: { type: 'STRING', default: 'calm' } },
    );
    assert.deepEqual(
      refusalsOf((violations) => mergeDeclarations(violations, [source('a', tone), source('b', other)])),
      ['b CONFLICT'],
    );
  });

  it('an explicit declaration wins over inferred ones, before and after it', () => {
    const sources = [
      source('a', inferred('age')),
      source('b', explicit({ name: 'age', type: 'INTEGER' })),
      source('c', inferred('age')),
    ];
    assert.deepEqual(
      accepted((violations) => mergeDeclarations(violations, sources)),
      { age: { type: 'INTEGER' } },
    );
  });
});

describe('Untrusted is declared once for all templates of a bundle', () => {
  const source = (field: string, ...declarations: EffectiveDeclaration[]) => ({
    field,
    templateId: `t-${field}`,
    declarations,
  });
  const note = explicit({ name: 'note', untrusted: true });

  it('a template that reads it without a declaration follows the one that declares it', () => {
    for (const sources of [
      [source('a', note), source('b', inferred('note'))],
      [source('b', inferred('note')), source('a', note)],
    ]) {
      assert.deepEqual(
        accepted((violations) => mergeDeclarations(violations, sources)),
        { note: { type: 'STRING', untrusted: true } },
      );
    }
  });

  it('two templates that disagree are refused', () => {
    const sources = [source('a', note), source('b', explicit({ name: 'note' }))];
    const [violation] = violationsOf((violations) => mergeDeclarations(violations, sources));
    assert.equal(violation?.reason, 'CONFLICT');
    assert.match(violation.description, /as \{"type":"STRING"\} by .* as \{"type":"STRING","untrusted":true\} by/);
  });

  it('trusted is what is not said', () => {
    assert.deepEqual(
      accepted((violations) => mergeDeclarations(violations, [source('a', explicit({ name: 'note' }))])),
      { note: { type: 'STRING' } },
    );
  });
});

describe('The nearest value wins', () => {
  const rules: SnapshotVariables = { tone: { type: 'STRING', default: 'calm' } };

  it('the request, else the tenant, else the default', () => {
    assert.deepEqual(resolve(rules, { tone: 'brisk' }, { tone: 'warm' }).values, { tone: 'brisk' });
    assert.deepEqual(resolve(rules, {}, { tone: 'warm' }).values, { tone: 'warm' });
    assert.deepEqual(resolve(rules, {}).values, { tone: 'calm' });
  });

  it('names of inherited members are names like any other', () => {
    const odd = JSON.parse('{"__proto__":{"type":"STRING"},"constructor":{"type":"STRING"}}') as SnapshotVariables;
    assert.deepEqual(Object.keys(resolve(odd, {}).values), []);
    const values = JSON.parse('{"__proto__":"a","constructor":"b"}') as JsonObject;
    const resolved = resolve(odd, values);
    assert.deepEqual(Object.entries(resolved.values), [['__proto__', 'a'], ['constructor', 'b']]);
    assert.equal(resolved.texts.get('__proto__'), 'a');
  });
});

describe('Null counts as missing', () => {
  it('null in the request gives way to the tenant, null there to the default', () => {
    const rules: SnapshotVariables = { tone: { type: 'STRING', default: 'calm' } };
    assert.deepEqual(resolve(rules, { tone: null }, { tone: 'warm' }).values, { tone: 'warm' });
    assert.deepEqual(resolve(rules, { tone: null }, { tone: null }).values, { tone: 'calm' });
  });

  it('null and required', () => {
    assert.deepEqual(resolve({ user: { type: 'STRING', required: true } }, { user: null }).missing, ['user']);
  });
});

describe('An optional variable renders empty', () => {
  it('it has no text and no value', () => {
    const resolved = resolve({ suffix: { type: 'STRING' } }, {});
    assert.deepEqual(resolved.values, {});
    assert.equal(resolved.texts.size, 0);
    assert.deepEqual(variableViolations(resolved), []);
  });
});

describe('Every missing or ill-typed variable is named', () => {
  it('three at once', () => {
    const rules: SnapshotVariables = {
      user: { type: 'STRING', required: true },
      age: { type: 'INTEGER' },
      plan: { type: 'ENUM', enum_values: ['free', 'pro'] },
    };
    assert.deepEqual(variableViolations(resolve(rules, { age: 1.5, plan: 'gold' })), [
      {
        field: 'variables.age',
        reason: 'WRONG_TYPE',
        description:
          "the request's value must be a whole number between -(2^53 - 1) and 2^53 - 1 (INTEGER); it is a number",
      },
      {
        field: 'variables.plan',
        reason: 'WRONG_TYPE',
        description: 'the request\'s value must be one of "free", "pro"',
      },
      {
        field: 'variables.user',
        reason: 'MISSING',
        description: 'variable user is required, and neither the request nor the tenant gives it a value',
      },
    ]);
  });

  const fitting: [SnapshotVariables[string], Json[]][] = [
    [{ type: 'STRING' }, ['', 'x']],
    [{ type: 'INTEGER' }, [0, -1, 5.0, Number.MAX_SAFE_INTEGER]],
    [{ type: 'NUMBER' }, [0, 1.5, 1e300]],
    [{ type: 'BOOLEAN' }, [true, false]],
    [{ type: 'ENUM', enum_values: ['é'] }, ['é', 'e\u0301']],
    [{ type: 'LIST' }, [[], [1, null]]],
    [{ type: 'OBJECT' }, [{}, { a: null }]],
    [{ type: 'STRING', max_length: 1 }, ['😀', 'e\u0301']],
    [{ type: 'STRING', pattern: '[0-9]{5}' }, ['12345']],
  ];
  for (const [rules, values] of fitting) {
    it(`${JSON.stringify(values)} fits ${JSON.stringify(rules)}`, () => {
      for (const value of values) assert.equal(complaint(rules, value), undefined);
    });
  }

  const unfit: [SnapshotVariables[string], Json, string][] = [
    [{ type: 'STRING' }, 1, 'be a string (STRING); it is a number'],
    [{ type: 'INTEGER' }, 2 ** 53, 'be a whole number between -(2^53 - 1) and 2^53 - 1 (INTEGER); it is a number'],
    [{ type: 'NUMBER' }, '1', 'be a number (NUMBER); it is a string'],
    [{ type: 'BOOLEAN' }, 'true', 'be true or false (BOOLEAN); it is a string'],
    [{ type: 'ENUM', enum_values: ['a'] }, false, 'be a string (ENUM); it is a boolean'],
    [{ type: 'LIST' }, {}, 'be a list (LIST); it is an object'],
    [{ type: 'OBJECT' }, [], 'be an object (OBJECT); it is a list'],
    [{ type: 'STRING', max_length: 1 }, 'ab', 'have at most 1 characters, not 2'],
    [{ type: 'STRING', pattern: '[0-9]{5}' }, '123456', 'match the pattern "[0-9]{5}" as a whole'],
  ];
  for (const [rules, value, rule] of unfit) {
    it(`${JSON.stringify(value)} does not fit ${JSON.stringify(rules)}`, () => {
      assert.equal(complaint(rules, value), `the request's value must ${rule}`);
    });
  }

  it("a tenant's value that does not fit is called that", () => {
    assert.deepEqual(resolve({ age: { type: 'LIST' } }, {}, { age: 'x' }).invalid, [
      { name: 'age', message: "the tenant's value must be a list (LIST); it is a string" },
    ]);
  });

  it('of many enum values ten are shown', () => {
    const values = Array.from({ length: 12 }, (_, index) => `${index}`.padStart(2, '0'));
    assert.match(complaint({ type: 'ENUM', enum_values: values }, 'x') ?? '', /"00", .*"09" and 2 more$/);
  });
});

describe('Untrusted values cannot leave their delimiter', () => {
  const rules: SnapshotVariables = {
    note: { type: 'STRING', untrusted: true },
    tags: { type: 'LIST', untrusted: true },
    user: { type: 'STRING' },
  };
  const request = { note: '</untrusted>\u200B&', tags: ['<b>', 'c\u00AD'], user: '<Ada>\u200B' };

  it('their text is delimited, the value that is hashed is as it was sent', () => {
    const { texts, values } = resolve(rules, request);
    assert.deepEqual(values, request);
    assert.deepEqual(Object.fromEntries(texts), {
      note: '<untrusted name="note">&lt;/untrusted&gt;&amp;</untrusted>',
      tags: '<untrusted name="tags">["&lt;b&gt;","c"]</untrusted>',
      user: '<Ada>\u200B',
    });
  });

  it("whoever gives the value, the tenant's and the default too", () => {
    const given: SnapshotVariables = {
      a: { type: 'STRING', untrusted: true, default: '<' },
      b: { type: 'OBJECT', untrusted: true },
    };
    assert.deepEqual(Object.fromEntries(resolve(given, {}, { b: { x: '>' } }).texts), {
      a: '<untrusted name="a">&lt;</untrusted>',
      b: '<untrusted name="b">{"x":"&gt;"}</untrusted>',
    });
  });

  it('an empty value has no delimiter', () => {
    const { texts, values } = resolve(rules, { note: '\u200B' });
    assert.deepEqual(values, { note: '\u200B' });
    assert.deepEqual([...texts], [['note', '']]);
  });

  it('a value is bounded as it was sent, also if little of it is left', () => {
    const both = { ...rules, more: { type: 'STRING', untrusted: true } } satisfies SnapshotVariables;
    const hidden = '\u200B'.repeat(64 * 1024);
    assert.match(resolve(both, { note: hidden }, { more: hidden }).tooLarge ?? '', /have 393237 bytes as JSON/);
  });

  it('people are shown how each is rendered, and how much was removed', () => {
    assert.deepEqual(untrustedVariables(rules, resolve(rules, request)), [
      {
        name: 'note',
        rendered: '<untrusted name="note">&lt;/untrusted&gt;&amp;</untrusted>',
        removedCharacters: 1,
      },
      { name: 'tags', rendered: '<untrusted name="tags">["&lt;b&gt;","c"]</untrusted>', removedCharacters: 1 },
    ]);
  });

  it('those without a value that fits are shown as nothing, in order of names', () => {
    const more: SnapshotVariables = { ...rules, a: { type: 'STRING', untrusted: true, required: true } };
    assert.deepEqual(untrustedVariables(more, resolve(more, { note: 1, user: 'Ada' })), [
      { name: 'a', rendered: '', removedCharacters: 0 },
      { name: 'note', rendered: '', removedCharacters: 0 },
      { name: 'tags', rendered: '', removedCharacters: 0 },
    ]);
  });
});

describe("A pattern's work is bounded", () => {
  /** 1,001 instructions: 999 code units may be matched in a render. */
  const pattern = '.{1,499}.*';

  it('a value that is too long for its pattern is named with what would fit', () => {
    assert.equal(complaint({ type: 'STRING', pattern }, 'x'.repeat(999)), undefined);
    assert.equal(
      complaint({ type: 'STRING', pattern }, 'x'.repeat(1000)),
      "the request's value is too long to be matched: it has 1000 UTF-16 code units, and at most 999 are left to its " +
        'pattern of 1001 instructions; shorten it, or simplify the pattern',
    );
  });

  it('it is a violation of its own', () => {
    const resolved = resolve({ v: { type: 'STRING', pattern } }, { v: 'x'.repeat(1000) });
    assert.deepEqual(
      variableViolations(resolved).map(({ field, reason }) => `${field} ${reason}`),
      ['variables.v WRONG_TYPE'],
    );
  });

  it('all variables of a render share what may be matched, in order of names', () => {
    const rules: SnapshotVariables = {
      c: { type: 'STRING', pattern },
      b: { type: 'STRING', pattern },
      a: { type: 'STRING', pattern },
    };
    const value = 'x'.repeat(400);
    const { invalid, values } = resolve(rules, { b: value, c: value }, { a: value });
    assert.deepEqual(Object.keys(values), ['a', 'b']);
    assert.deepEqual(invalid.map(({ name }) => name), ['c']);
    assert.match(invalid[0]?.message ?? '', /at most 199 are left/);
  });

  it('a value that is refused leaves its share to the others', () => {
    const rules: SnapshotVariables = { a: { type: 'STRING', pattern }, b: { type: 'STRING', pattern } };
    assert.deepEqual(
      resolve(rules, { a: 'x'.repeat(1000), b: 'x'.repeat(999) }).invalid.map(({ name }) => name),
      ['a'],
    );
  });

  it('max_length comes first: what is longer is not matched', () => {
    const rules: SnapshotVariables = {
      a: { type: 'STRING', pattern, max_length: 999 },
      b: { type: 'STRING', pattern },
    };
    assert.deepEqual(resolve(rules, { a: 'x'.repeat(5000), b: 'x'.repeat(999) }).invalid, [
      { name: 'a', message: "the request's value must have at most 999 characters, not 5000" },
    ]);
  });

  it('defaults were matched when they were declared and take no share', () => {
    const rules: SnapshotVariables = {
      a: { type: 'STRING', pattern, default: 'x'.repeat(999) },
      b: { type: 'STRING', pattern, default: 'x'.repeat(999) },
      c: { type: 'STRING', pattern },
    };
    assert.deepEqual(resolve(rules, { c: 'x'.repeat(999) }).invalid, []);
  });

  it('the defaults of a template share as much when it is saved', () => {
    const value = 'x'.repeat(500);
    assert.deepEqual(refusals({ name: 'a', pattern, default: value }), []);
    assert.deepEqual(
      refusals({ name: 'a', pattern, default: value }, { name: 'b', pattern, default: value }),
      ['v[1].default WRONG_TYPE'],
    );
  });

  it('a max_length that its pattern can never match is refused, with one that it can', () => {
    assert.deepEqual(refusals({ pattern, maxLength: 999 }), []);
    assert.deepEqual(refusals({ pattern, maxLength: 1000, default: 'x' }), ['v[0].pattern TOO_COMPLEX']);
    assert.deepEqual(descriptions({ pattern, maxLength: 1000 }), [
      'compiles to 1001 instructions: too many to match 1000 characters; make max_length 999 or less, or repeat less',
    ]);
  });

  it('the patterns of a template are bounded together', () => {
    const list = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, pattern: '.{1,499}' }));
    assert.deepEqual(refusals(...list), []);
    assert.deepEqual(refusals(...list, { name: 'f', pattern: '.{9}' }), ['v TOO_COMPLEX']);
    assert.deepEqual(descriptions(...list, { name: 'f', pattern: '.{9}' }), [
      'the patterns of the variables take more than 5000 instructions together, which Unicode classes and ranges ' +
        'that ignore case add to; repeat less, or declare fewer patterns',
    ]);
  });

  it('those of a bundle too, and no more of them is compiled than is allowed', () => {
    const rules = (one: string) => ({ a: { pattern: '.{1,499}' }, b: {}, c: { pattern: '' }, d: { pattern: one } });
    const refused = (one: string) =>
      refusalsOf((violations) => checkPatterns(violations, 'draft.sections', Object.entries(rules(one))));
    assert.deepEqual(refused('a+'), []);
    assert.deepEqual(refused(`(?i)${'[a-\\x{ffff}]'.repeat(30)}`), ['draft.sections TOO_COMPLEX']);
  });
});

describe('Undeclared values are left out with a warning', () => {
  it("the request's, sorted, without those that are null; the tenant's silently", () => {
    const request = { user: 'A', z: 1, debug: true, none: null };
    const resolved = resolve({ user: { type: 'STRING' } }, request, { brand: 'B' });
    assert.deepEqual(resolved.undeclared, ['debug', 'z']);
    assert.deepEqual(resolved.values, { user: 'A' });
  });
});

describe('Values have one text form', () => {
  const texts: [Json, string][] = [
    ['{x}', '{x}'],
    [1e21, '1e+21'],
    [-0, '0'],
    [0.1, '0.1'],
    [5.0, '5'],
    [true, 'true'],
    [false, 'false'],
    [{ b: [1.0], a: 'ü' }, '{"a":"ü","b":[1]}'],
    [['x', null], '["x",null]'],
  ];
  for (const [value, text] of texts) {
    it(`${JSON.stringify(value)} is ${text}`, () => assert.equal(valueText(value), text));
  }
});

describe('Variables are bounded in total', () => {
  function valueRefusals(values: JsonObject): string[] {
    return refusalsOf((violations) => checkValues(violations, 'variables', values));
  }

  it('at most 256 KiB of canonical JSON', () => {
    assert.deepEqual(valueRefusals({ a: 'x'.repeat(256 * 1024 - 8) }), []);
    assert.deepEqual(valueRefusals({ a: 'x'.repeat(256 * 1024 - 7) }), ['variables TOO_LARGE']);
  });

  it('at most 128 values, names of the grammar, finite numbers, 64 levels', () => {
    const many = Object.fromEntries(Array.from({ length: 129 }, (_, index) => [`v${index}`, index]));
    assert.deepEqual(valueRefusals(many), ['variables TOO_MANY']);
    assert.deepEqual(valueRefusals({ 'Not ok': 1, n: [Number.NaN], user: null }), [
      'variables.Not ok BAD_FORMAT',
      'variables.n[0] NOT_FINITE',
    ]);
  });
});

describe('Values of a request are bounded in total', () => {
  function sentRefusals(values: JsonObject): string[] {
    return refusalsOf((violations) => checkSentValues(violations, 'variables', values));
  }

  function list(levels: number): Json {
    return levels === 0 ? 1 : [list(levels - 1)];
  }

  it('at most 10,000; more are not looked at', () => {
    const most = Array.from({ length: 10_000 }, (_, index) => [`Any name ${index}`, null] as const);
    assert.deepEqual(sentRefusals(Object.fromEntries(most)), []);
    assert.deepEqual(sentRefusals({ ...Object.fromEntries(most), more: Number.NaN }), ['variables TOO_MANY']);
  });

  it('each with at most 64 levels, and named if it has more', () => {
    assert.deepEqual(sentRefusals({ a: list(64) }), []);
    assert.deepEqual(sentRefusals({ a: list(64), b: list(65) }), ['variables.b TOO_LARGE']);
  });

  it('at most 256 KiB of canonical JSON', () => {
    assert.deepEqual(sentRefusals({ a: 'x'.repeat(256 * 1024 - 8) }), []);
    assert.deepEqual(sentRefusals({ a: 'x'.repeat(256 * 1024 - 7) }), ['variables TOO_LARGE']);
  });
});

describe('Defaults are bounded in total', () => {
  const half = 'x'.repeat(128 * 1024);

  it('at most 256 KiB of canonical JSON by name in one template', () => {
    const rest = 256 * 1024 - '{"a":"","b":""}'.length - half.length;
    const a = { name: 'a', default: half };
    assert.deepEqual(refusals(a, { name: 'b', default: 'x'.repeat(rest) }, { name: 'c' }), []);
    assert.deepEqual(refusals(a, { name: 'b', default: 'x'.repeat(rest + 1) }), ['v TOO_LARGE']);
  });
});

describe('Merged values are bounded in total', () => {
  const rules: SnapshotVariables = {
    a: { type: 'STRING' },
    b: { type: 'LIST' },
    c: { type: 'STRING', default: 'x'.repeat(64 * 1024) },
  };
  const request = { a: 'x'.repeat(128 * 1024) };
  const rest = 256 * 1024 - '{"a":"","b":[""],"c":""}'.length - 192 * 1024;

  it('at most 256 KiB of canonical JSON of request, tenant and defaults', () => {
    assert.equal(resolve(rules, request, { b: ['x'.repeat(rest)] }).tooLarge, undefined);
    const resolved = resolve(rules, request, { b: ['x'.repeat(rest + 1)] });
    assert.deepEqual(variableViolations(resolved), [
      {
        field: 'variables',
        reason: 'TOO_LARGE',
        description:
          'the values of the request, the tenant and the defaults have 262145 bytes as JSON together; ' +
          'at most 262144 are allowed',
      },
    ]);
  });

  it('in bytes of UTF-8, escapes counted', () => {
    const strings: SnapshotVariables = { a: { type: 'STRING' }, b: { type: 'STRING' } };
    const escaped = '\u0001'.repeat(256 * 1024 / 6 / 2);
    assert.equal(resolve(strings, { a: escaped }, { b: '' }).tooLarge, undefined);
    assert.match(resolve(strings, { a: escaped }, { b: escaped }).tooLarge ?? '', /have 26\d{4} bytes as JSON/);
  });

  it('values that are ignored do not count', () => {
    const long = 'x'.repeat(256 * 1024 - 100);
    const given = { a: 'x'.repeat(100), debug: long };
    assert.equal(resolve({ a: { type: 'STRING' } }, given, { a: long }).tooLarge, undefined);
  });
});

describe('The first level is bounded by bytes', () => {
  it('patterns count', () => {
    assert.equal(compileVariables({ a: { type: 'STRING' } }).bytes, 0);
    assert.ok(compileVariables({ a: { type: 'STRING', pattern: 'a{100}' } }).bytes > 10_000);
  });
});
