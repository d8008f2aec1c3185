/** Regular expressions in RE2 syntax: linear time whatever the expression, so that none can stall a process. */
import { RE2JS } from 're2js';
import type { Violations } from './errors.ts';
import { MAX_PATTERN_CHARACTERS, MAX_PATTERN_INSTRUCTIONS, MAX_PATTERN_STEPS } from './limits.ts';
import { characters } from './text.ts';

/** Checks an expression's length, that it compiles, and to how much. @returns whether there was nothing to say */
export function checkPattern(violations: Violations, field: string, pattern: string): boolean {
  const length = characters(pattern);
  if (length > MAX_PATTERN_CHARACTERS) {
    violations.add(field, 'TOO_LONG', `must have at most ${MAX_PATTERN_CHARACTERS} characters, not ${length}`);
    return false;
  }
  try {
    const instructions = RE2JS.compile(pattern).programSize();
    if (instructions <= MAX_PATTERN_INSTRUCTIONS) return true;
    violations.add(
      field,
      'TOO_LARGE',
      `compiles to ${instructions} instructions; at most ${MAX_PATTERN_INSTRUCTIONS} are allowed: repeat less`,
    );
    return false;
  } catch (error) {
    violations.add(
      field,
      'DOES_NOT_COMPILE',
      `${(error as Error).message}; RE2 syntax has neither backreferences nor look-around`,
    );
    return false;
  }
}

/** Measured: compiling takes 5 µs for an instruction, 200 µs for a class by a property of Unicode. */
const INSTRUCTIONS_PER_PROPERTY = 40;
/** Measured: characters of a range that are looked up in 5 µs where an expression ignores case. */
const FOLDED_PER_INSTRUCTION = 150;
const IGNORES_CASE = /\(\?[a-z]*i/i;
/** Escapes of other forms stand for at most \777. */
const ESCAPED = /\\x\{([0-9a-f]+)\}/gi;
const HIGHEST_OTHER = 0o777;

/**
 * What the character classes of an expression take to compile, as so many instructions: `(?i)[a-\x{ffff}]` is one
 * instruction, and takes milliseconds. Told from the text, so that nothing has to be compiled, and rather too high.
 */
export function classWork(pattern: string): number {
  const properties = INSTRUCTIONS_PER_PROPERTY * (pattern.match(/\\p/gi)?.length ?? 0);
  if (!IGNORES_CASE.test(pattern)) return properties;
  const ranges = pattern.split('-').length - 1;
  const written = [...pattern].map((character) => character.codePointAt(0) as number);
  const escaped = Array.from(pattern.matchAll(ESCAPED), ([, digits]) => Number.parseInt(digits as string, 16));
  const highest = Math.max(HIGHEST_OTHER, ...written, ...escaped);
  return properties + Math.ceil((ranges * highest) / FOLDED_PER_INSTRUCTION);
}

/** Measured on compiled and used expressions: 100 to 500. */
export const BYTES_PER_INSTRUCTION = 512;

export interface CompiledPattern {
  /** Of the compiled program: what one character of a text costs at most to match. */
  readonly instructions: number;
  /** Whether the expression matches the whole of the text. At most 17 ns per instruction and UTF-16 code unit. */
  matchesWhole(text: string): boolean;
  /** Roughly what this takes of memory. */
  readonly bytes: number;
}

/** Compiles an expression that checkPattern has passed. */
export function compilePattern(pattern: string): CompiledPattern {
  const expression = RE2JS.compile(pattern);
  const instructions = expression.programSize();
  return {
    instructions,
    // Not testExact: its automaton keeps up to 8 MiB of states, and takes four times as long to make them.
    matchesWhole: (text) => expression.matcher(text).matches(),
    bytes: (instructions + classWork(pattern)) * BYTES_PER_INSTRUCTION,
  };
}

/** What matching may still take: of the values of one render, or of the defaults of one template. */
export class PatternBudget {
  #steps = MAX_PATTERN_STEPS;

  /** The length of the longest text that may still be matched, in UTF-16 code units. */
  longest({ instructions }: CompiledPattern): number {
    return Math.floor(this.#steps / instructions);
  }

  /** Takes what matching the text costs. */
  take({ instructions }: CompiledPattern, text: string): void {
    this.#steps -= instructions * text.length;
  }
}
