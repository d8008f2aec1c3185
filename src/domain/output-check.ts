/** Judges a model's output by constraints (spec section 3, "Constraints"). */
import type { Constraint, ConstraintRule, Severity } from './constraint.ts';
import type { Json, JsonObject } from './json.ts';
import { MAX_OUTPUT_VIOLATIONS } from './limits.ts';
import { type JsonFault, placesOfValues, readJson } from './output-json.ts';
import { type OutputPlace, type Span, placesOf } from './output-place.ts';
import { compileJsonSchema, type SchemaBreaches } from './output-schema.ts';
import { PatternSearch } from './pattern-search.ts';
import { characters, cut, excerpt, tooFew, tooMany, words } from './text.ts';

export type { OutputPlace } from './output-place.ts';

/** One breach of one constraint. */
export interface OutputViolation {
  readonly constraintId: string;
  readonly severity: Severity;
  /** What is wrong and what would be right, in English. */
  readonly message: string;
  /** Where; undefined for what is missing as a whole. */
  readonly place: OutputPlace | undefined;
  /** json_schema: the value in question as a JSON Pointer (RFC 6901); empty: the whole, or another rule. */
  readonly jsonPointer: string;
}

export interface OutputJudgement {
  /** In the order of the constraints, then by place; the first 100 of one constraint. */
  readonly violations: readonly OutputViolation[];
  /** How many there are, those counted that are left out. */
  readonly total: number;
  /** Whether none breaches a constraint of severity ERROR. */
  readonly passed: boolean;
}

/** Constraints that were compiled. Never changes. */
export interface CompiledConstraints {
  /**
   * Judges an output, which is taken in NFC, by every constraint. The same output is judged the same everywhere. What
   * takes longest is bounded by nothing but the size of the output (see PatternSearch): end it from outside.
   */
  judge(output: string): OutputJudgement;
  /** Roughly what this takes of memory. */
  readonly bytes: number;
}

/** What is wrong somewhere. */
interface Finding {
  readonly message: string;
  readonly span?: Span;
  readonly pointer?: string;
}

interface PlacedFinding extends Finding {
  readonly span: Span;
}

interface Findings<F extends Finding = Finding> {
  /** At most 100. */
  readonly list: readonly F[];
  readonly total: number;
}

/** An output in NFC, and what several rules want to know of it, found out once. */
class Output {
  readonly text: string;
  #characters: number | undefined;
  #words: number | undefined;
  #json: { readonly value: Json } | JsonFault | undefined;

  constructor(output: string) {
    this.text = output.normalize('NFC');
  }

  get characters(): number {
    this.#characters ??= characters(this.text);
    return this.#characters;
  }

  get words(): number {
    this.#words ??= words(this.text);
    return this.#words;
  }

  get json(): { readonly value: Json } | JsonFault {
    this.#json ??= readJson(this.text);
    return this.#json;
  }

  get end(): Span {
    return { start: this.text.length, end: this.text.length };
  }

  /** From an offset in UTF-16 code units to the end. */
  from(start: number): Span {
    return { start, end: this.text.length };
  }
}

interface CompiledRule {
  judge(output: Output): Findings;
  readonly bytes: number;
}

const NONE: Findings = { list: [], total: 0 };

function one(finding: Finding): Findings {
  return { list: [finding], total: 1 };
}

/** The first 100 of what is found, all counted. */
function collect<F extends Finding>(found: Iterable<F>): Findings<F> {
  const list: F[] = [];
  let total = 0;
  for (const finding of found) {
    if (total < MAX_OUTPUT_VIOLATIONS) list.push(finding);
    total += 1;
  }
  return { list, total };
}

function byPlace(findings: readonly PlacedFinding[]): PlacedFinding[] {
  return findings.toSorted((a, b) => a.span.start - b.span.start);
}

/** Where the character of an index begins, in UTF-16 code units. */
function characterStart(text: string, index: number): number {
  let at = 0;
  for (let count = 0; count < index; count += 1) at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1;
  return at;
}

function wordStart(text: string, index: number): number {
  let [start, count] = [0, 0];
  for (const word of text.matchAll(/\S+/g)) {
    if (count > index) break;
    start = word.index;
    count += 1;
  }
  return start;
}

function maxChars(limit: number, output: Output): Findings {
  if (output.characters <= limit) return NONE;
  const message = tooMany(output.characters, limit, 'character');
  return one({ message, span: output.from(characterStart(output.text, limit)) });
}

function minChars(limit: number, output: Output): Findings {
  if (output.characters >= limit) return NONE;
  return one({ message: tooFew(output.characters, limit, 'character'), span: output.end });
}

function maxWords(limit: number, output: Output): Findings {
  if (output.words <= limit) return NONE;
  return one({ message: tooMany(output.words, limit, 'word'), span: output.from(wordStart(output.text, limit)) });
}

function requiredPhrases(phrases: readonly string[], { text }: Output): Findings {
  const missing = phrases.filter((phrase) => !text.includes(phrase));
  return collect(missing.map((phrase) => ({ message: `does not contain the required phrase ${excerpt(phrase)}` })));
}

function* occurrences(text: string, phrase: string): Generator<PlacedFinding> {
  const message = `contains the forbidden phrase ${excerpt(phrase)}`;
  for (let start = text.indexOf(phrase); start !== -1; ) {
    const end = start + phrase.length;
    yield { message, span: { start, end } };
    start = text.indexOf(phrase, end);
  }
}

/** Occurrences of one phrase do not overlap; those of different phrases may. */
function forbiddenPhrases(phrases: readonly string[], { text }: Output): Findings {
  const found = phrases.map((phrase) => collect(occurrences(text, phrase)));
  return {
    list: byPlace(found.flatMap(({ list }) => list)).slice(0, MAX_OUTPUT_VIOLATIONS),
    total: found.reduce((sum, { total }) => sum + total, 0),
  };
}

function requiredPattern(search: PatternSearch, pattern: string, { text }: Output): Findings {
  if (search.occursIn(text)) return NONE;
  return one({ message: `does not match the required pattern ${excerpt(pattern)}` });
}

function* matches(search: PatternSearch, pattern: string, text: string): Generator<Finding> {
  const message = `matches the forbidden pattern ${excerpt(pattern)}`;
  for (const span of search.matches(text)) yield { message, span };
}

/** An empty match is one like any other: `(?m)^$` forbids empty lines. */
function forbiddenPattern(search: PatternSearch, pattern: string, { text }: Output): Findings {
  return collect(matches(search, pattern, text));
}

/** What models like to put around JSON. */
const CODE_FENCE = /^\s*```/;

/** The rule of a JSON Schema. What cannot be found out is a breach: nobody may take it for kept. */
function schemaRule(schema: JsonObject): CompiledRule {
  const { breaches, bytes } = compileJsonSchema(schema);
  const judge = ({ text, json, end }: Output): Findings => {
    if ('fault' in json) {
      const hint = CODE_FENCE.test(text) ? '; the answer has to be JSON alone, without a code fence' : '';
      return one({ message: `cannot be read as JSON: ${json.fault}${hint}`, span: json.span });
    }
    let found: SchemaBreaches;
    try {
      found = breaches(json.value, MAX_OUTPUT_VIOLATIONS);
    } catch {
      const why = 'it refers to itself without end, or too deep for this output';
      return one({ message: `cannot be checked against the JSON Schema: ${why}`, span: { start: 0, end: end.end } });
    }
    if (found.total === 0) return NONE;
    const spans = placesOfValues(text, found.list.map(({ pointer }) => pointer));
    const list = found.list.map(({ message, pointer }, index) => {
      const span = spans[index] as Span;
      return { message: `${message}; found ${cut(text.slice(span.start, span.end))}`, span, pointer };
    });
    return { list: byPlace(list), total: found.total };
  };
  return { judge, bytes };
}

function compileRule(rule: ConstraintRule): CompiledRule {
  switch (rule.kind) {
    case 'max_chars':
      return { judge: (output) => maxChars(rule.value, output), bytes: 0 };
    case 'min_chars':
      return { judge: (output) => minChars(rule.value, output), bytes: 0 };
    case 'max_words':
      return { judge: (output) => maxWords(rule.value, output), bytes: 0 };
    case 'required_phrases':
      return { judge: (output) => requiredPhrases(rule.value, output), bytes: 2 * rule.value.join('').length };
    case 'forbidden_phrases':
      return { judge: (output) => forbiddenPhrases(rule.value, output), bytes: 2 * rule.value.join('').length };
    case 'required_pattern': {
      const search = new PatternSearch(rule.value);
      return { judge: (output) => requiredPattern(search, rule.value, output), bytes: search.bytes };
    }
    case 'forbidden_pattern': {
      const search = new PatternSearch(rule.value);
      return { judge: (output) => forbiddenPattern(search, rule.value, output), bytes: search.bytes };
    }
    case 'json_schema':
      return schemaRule(rule.value);
  }
}

/** What a constraint takes besides its rule. */
const CONSTRAINT_BYTES = 500;

/** Compiles constraints that normalizeConstraints has passed: they are sorted by id. */
export function compileConstraints(constraints: readonly Constraint[]): CompiledConstraints {
  const compiled = constraints.map(({ id, severity, rule }) => ({ id, severity, ...compileRule(rule) }));
  return {
    judge: (raw) => {
      const output = new Output(raw);
      const judged = compiled.map(({ id, severity, judge }) => ({ id, severity, ...judge(output) }));
      const findings = judged.flatMap(({ id, severity, list }) => list.map((finding) => ({ id, severity, finding })));
      const places = placesOf(
        output.text,
        findings.map(({ finding }) => finding.span ?? output.end),
      );
      return {
        violations: findings.map(({ id, severity, finding: { message, span, pointer = '' } }, index) => ({
          constraintId: id,
          severity,
          message,
          place: span && places[index],
          jsonPointer: pointer,
        })),
        total: judged.reduce((sum, { total }) => sum + total, 0),
        passed: judged.every(({ severity, total }) => severity !== 'ERROR' || total === 0),
      };
    },
    bytes: compiled.reduce((sum, { bytes }) => sum + CONSTRAINT_BYTES + bytes, 0),
  };
}
