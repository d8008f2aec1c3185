/** Places in an output. */
import { MAX_OUTPUT_EXCERPT_CHARACTERS } from './limits.ts';

/** A place in a text, in UTF-16 code units. */
export interface Span {
  readonly start: number;
  /** Behind the last one. */
  readonly end: number;
}

/** A place in an output, in Unicode code points of its NFC. */
export interface OutputPlace {
  readonly offset: number;
  readonly length: number;
  /** What stands there, at most its first 100 characters. */
  readonly excerpt: string;
}

/** The spans as places, in one pass over the text. */
export function placesOf(text: string, spans: readonly Span[]): OutputPlace[] {
  const offsets = new Set(spans.flatMap(({ start, end }) => [start, end]));
  const characters = new Map<number, number>();
  let [at, count] = [0, 0];
  for (const offset of [...offsets].toSorted((a, b) => a - b)) {
    for (; at < offset; count += 1) at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1;
    characters.set(offset, count);
  }
  return spans.map(({ start, end }) => {
    const offset = characters.get(start) as number;
    const length = (characters.get(end) as number) - offset;
    const beginning = text.slice(start, Math.min(end, start + 2 * MAX_OUTPUT_EXCERPT_CHARACTERS));
    return { offset, length, excerpt: [...beginning].slice(0, MAX_OUTPUT_EXCERPT_CHARACTERS).join('') };
  });
}
