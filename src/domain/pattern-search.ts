/** Regular expressions looked for in a text. */
import { RE2JS } from 're2js';
import type { Span } from './output-place.ts';
import { BYTES_PER_INSTRUCTION, classWork } from './pattern.ts';

/** What an expression may keep between two searches of the states that its automaton came to. */
const MAX_KEPT_BYTES = 32 * 1024;

/**
 * An expression in RE2 syntax, looked for anywhere in a text. Whether it occurs takes time linear in the text, about
 * 10 ns a character; the state machine behind an expression that is made to come to millions of states takes some
 * hundred times as long. All matches may take a scan of the whole rest of the text each, as `a.*b|a` does.
 */
export class PatternSearch {
  readonly #expression: RE2JS;
  /** Roughly what this takes of memory. */
  readonly bytes: number;

  /** @throws if it is no RE2 syntax */
  constructor(pattern: string) {
    this.#expression = RE2JS.compile(pattern);
    this.bytes = (this.instructions + classWork(pattern)) * BYTES_PER_INSTRUCTION + MAX_KEPT_BYTES;
  }

  /** Of the compiled program. */
  get instructions(): number {
    return this.#expression.programSize();
  }

  /** Whether it matches somewhere. */
  occursIn(text: string): boolean {
    const found = this.#expression.test(text);
    // Grows to 8 MiB; null unless the search made use of it.
    const automaton = this.#expression.re2().lazyDFA;
    if (automaton?.memBudget < automaton?.maxMem - MAX_KEPT_BYTES) automaton.clearCache();
    return found;
  }

  /** All matches that do not overlap, from the left; empty ones as well. */
  *matches(text: string): Generator<Span> {
    if (!this.occursIn(text)) return;
    const matcher = this.#expression.matcher(text);
    while (matcher.find()) yield { start: matcher.start(), end: matcher.end() };
  }
}
