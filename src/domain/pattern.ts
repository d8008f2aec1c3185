/** Regular expressions in RE2 syntax: linear time whatever the expression, so that none can stall a process. */
import { RE2JS } from 're2js';
import type { Violations } from './errors.ts';
import { MAX_PATTERN_CHARACTERS, MAX_PATTERN_INSTRUCTIONS } from './limits.ts';
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

/** Measured on compiled and used expressions: 100 to 500. */
const BYTES_PER_INSTRUCTION = 512;

export interface CompiledPattern {
  /** Whether the expression matches the whole of the text. */
  matchesWhole(text: string): boolean;
  /** Roughly what this takes of memory. */
  readonly bytes: number;
}

/** Compiles an expression that checkPattern has passed. */
export function compilePattern(pattern: string): CompiledPattern {
  const expression = RE2JS.compile(pattern);
  return {
    matchesWhole: (text) => expression.testExact(text),
    bytes: expression.programSize() * BYTES_PER_INSTRUCTION,
  };
}
