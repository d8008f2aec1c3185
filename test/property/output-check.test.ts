import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Constraint, ConstraintRule } from '../../src/domain/constraint.ts';
import { compileConstraints, type OutputJudgement } from '../../src/domain/output-check.ts';
import { constraints, text } from '../support/arbitraries.ts';
import { bundle } from '../support/drafts.ts';

const SHOWN = 100;
const LISTED = 100;

/** Text that is short of sense and long on what counting and comparing are about. */
const output = fc.oneof(
  text,
  fc
    .array(fc.constantFrom('a', 'b', 'ab', 'c', '1', ' ', '\n', '\u00A0', 'e\u0301', 'é', '😀', '\u1100\u1161', '가'))
    .map((parts) => parts.join('')),
);

function judge(rule: ConstraintRule, judged: string): OutputJudgement {
  return compileConstraints([{ id: 'c', severity: 'ERROR', instruction: '', rule }]).judge(judged);
}

/** The characters of an output, as they are counted. */
function charactersOf(judged: string): string[] {
  return Array.from(judged.normalize('NFC'));
}

function naiveWords(characters: readonly string[]): number {
  const isWord = characters.map((character) => character.trim() !== '');
  return isWord.filter((inside, index) => inside && !isWord[index - 1]).length;
}

/** Where characters stand in characters, none of them twice. */
function naiveOccurrences(characters: readonly string[], phrase: readonly string[]): number[] {
  const found: number[] = [];
  for (let at = 0; at + phrase.length <= characters.length; at += 1) {
    if ((found.at(-1) ?? -Infinity) + phrase.length > at) continue;
    if (phrase.every((character, index) => characters[at + index] === character)) found.push(at);
  }
  return found;
}

describe('CheckOutput enforces the constraints', () => {
  it('characters and words are counted as a person counts them', () => {
    fc.assert(
      fc.property(output, fc.integer({ min: 1, max: 12 }), (judged, value) => {
        const characters = charactersOf(judged);
        const [count, words] = [characters.length, naiveWords(characters)];
        assert.equal(judge({ kind: 'max_chars', value }, judged).passed, count <= value);
        assert.equal(judge({ kind: 'min_chars', value }, judged).passed, count >= value);
        assert.equal(judge({ kind: 'max_words', value }, judged).passed, words <= value);
      }),
    );
  });

  it('what is too much begins behind the last character or word that is allowed', () => {
    fc.assert(
      fc.property(output, fc.integer({ min: 1, max: 6 }), (judged, value) => {
        const characters = charactersOf(judged);
        const [long] = judge({ kind: 'max_chars', value }, judged).violations;
        const [wordy] = judge({ kind: 'max_words', value }, judged).violations;
        if (long) assert.deepEqual([long.place!.offset, long.place!.length], [value, characters.length - value]);
        if (!wordy) return;
        const { offset, length } = wordy.place!;
        assert.equal(naiveWords(characters.slice(0, offset)), value);
        assert.equal(offset + length, characters.length);
        assert.match(characters[offset]!, /\S/);
      }),
    );
  });

  it('phrases are found wherever they stand, and nowhere else', () => {
    const phrase = fc.constantFrom('a', 'ab', 'aba', 'b a', 'é', '😀', '가', 'e');
    fc.assert(
      fc.property(output, fc.uniqueArray(phrase, { minLength: 1 }), (judged, value) => {
        const characters = charactersOf(judged);
        const places = value.map((each) => naiveOccurrences(characters, Array.from(each)));
        const missing = places.filter((each) => each.length === 0).length;
        assert.equal(judge({ kind: 'required_phrases', value }, judged).total, missing);
        const forbidden = judge({ kind: 'forbidden_phrases', value }, judged);
        const all = places.flat().toSorted((a, b) => a - b);
        assert.equal(forbidden.total, all.length);
        const offsets = forbidden.violations.map(({ place }) => place!.offset);
        assert.deepEqual(offsets, all.slice(0, LISTED));
      }),
    );
  });

  it('each place is one of the output, and its excerpt is what stands there', () => {
    fc.assert(
      fc.property(constraints, fc.oneof(output, fc.json()), (raw, judged) => {
        const { constraints: list } = bundle({ constraints: raw });
        const characters = charactersOf(judged);
        const { violations, total, passed } = compileConstraints(list).judge(judged);
        for (const { place } of violations) {
          if (!place) continue;
          const there = characters.slice(place.offset, place.offset + place.length);
          assert.equal(there.length, place.length);
          assert.equal(place.excerpt, there.slice(0, SHOWN).join(''));
        }
        assert.ok(total >= violations.length);
        assert.equal(passed, violations.every(({ severity }) => severity !== 'ERROR'));
      }),
    );
  });

  it('each constraint is judged as if it were alone, in their order', () => {
    fc.assert(
      fc.property(constraints, output, (raw, judged) => {
        const { constraints: list } = bundle({ constraints: raw });
        const together = compileConstraints(list).judge(judged);
        const alone = list.map((each: Constraint) => compileConstraints([each]).judge(judged));
        assert.deepEqual(together.violations, alone.flatMap(({ violations }) => violations));
        assert.equal(together.total, alone.reduce((sum, { total }) => sum + total, 0));
        assert.equal(together.passed, alone.every(({ passed }) => passed));
      }),
    );
  });

  it('how an output composes its characters makes no difference, nor does judging it again', () => {
    fc.assert(
      fc.property(constraints, output, (raw, judged) => {
        const compiled = compileConstraints(bundle({ constraints: raw }).constraints);
        const once = compiled.judge(judged);
        assert.deepEqual(compiled.judge(judged), once);
        assert.deepEqual(compiled.judge(judged.normalize('NFD')), once);
      }),
    );
  });
});

/** A pattern of what RE2 and JavaScript have in common. */
interface Pattern {
  readonly source: string;
  /** Whether it may match nothing: how often that is repeated, the two do not agree on. */
  readonly empty: boolean;
}

const atom: fc.Arbitrary<Pattern> = fc.oneof(
  fc.constantFrom('a', 'b', 'c', '1', ' ', 'é', '😀', '\\n', '.', '[ab]', '[^a]', '[a-c1]', '\\d', '\\w', '\\W', '\\S')
    .map((source) => ({ source, empty: false })),
  // Not \B: V8 finds it within a character too.
  fc.constantFrom('^', '$', '\\b').map((source) => ({ source, empty: true })),
);

const pattern = fc.letrec<{ pattern: Pattern }>((tie) => ({
  pattern: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    atom,
    fc.tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{1,2}', '{2}', '*?', '+?', '??')).map(([inner, times]) => {
      if (inner.empty) return inner;
      return { source: `(?:${inner.source})${times}`, empty: /^[*?]/.test(times) };
    }),
    fc.array(tie('pattern'), { minLength: 2, maxLength: 4 }).map((parts) => ({
      source: parts.map(({ source }) => `(?:${source})`).join(''),
      empty: parts.every(({ empty }) => empty),
    })),
    fc.array(tie('pattern'), { minLength: 2, maxLength: 3 }).map((parts) => ({
      source: parts.map(({ source }) => source).join('|'),
      empty: parts.some(({ empty }) => empty),
    })),
  ),
})).pattern;

/** What both take for white space and for the end of a line. */
const plain = fc
  .array(fc.constantFrom('a', 'b', 'c', '1', ' ', '\n', 'é', '😀', '_'))
  .map((parts) => parts.join(''));

describe('Constraints that are patterns are RE2 expressions', () => {
  it('they agree with those of JavaScript on what both have', () => {
    fc.assert(
      fc.property(pattern, plain, ({ source }, judged) => {
        const occurs = new RegExp(source, 'u').test(judged);
        assert.equal(judge({ kind: 'required_pattern', value: source }, judged).passed, occurs);
        assert.equal(judge({ kind: 'forbidden_pattern', value: source }, judged).passed, !occurs);
      }),
      { numRuns: 500 },
    );
  });

  it('so do their matches, in number and place', () => {
    fc.assert(
      fc.property(pattern, plain, ({ source }, judged) => {
        const expected = Array.from(judged.matchAll(new RegExp(source, 'gu')), ({ 0: excerpt, index }) => {
          return { offset: Array.from(judged.slice(0, index)).length, length: Array.from(excerpt).length, excerpt };
        });
        const { violations, total } = judge({ kind: 'forbidden_pattern', value: source }, judged);
        assert.equal(total, expected.length);
        assert.deepEqual(violations.map(({ place }) => place), expected.slice(0, LISTED));
      }),
      { numRuns: 500 },
    );
  });
});
