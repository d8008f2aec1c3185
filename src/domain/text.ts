/** What text is: how it is normalized, counted and quoted (spec section 3, "Limits"). */
import type { Violations } from './errors.ts';
import { MAX_DESCRIPTION_CHARACTERS } from './limits.ts';

/** The form in which content is stored: NFC, LF line ends, no leading byte order mark. Idempotent. */
export function normalizeContent(raw: string): string {
  return raw.replace(/^\uFEFF+/, '').replace(/\r\n?/g, '\n').normalize('NFC');
}

/** The form in which descriptions, instructions and phrases are stored: content without white space around it. */
export function normalizeNote(raw: string): string {
  return normalizeContent(raw).trim();
}

/** Length in Unicode code points after NFC. */
export function characters(text: string): number {
  let count = 0;
  for (const _ of text.normalize('NFC')) count += 1;
  return count;
}

/** UTF-16 code units that NFC makes one code point of, at most: it is 6 in Unicode 16. */
const UNITS_PER_CHARACTER = 8;

function isFarLonger(text: string, max: number): boolean {
  return text.length > max * UNITS_PER_CHARACTER;
}

/** UTF-16 code units that NFC makes of one, at most (https://www.unicode.org/faq/normalization.html). */
const UNITS_PER_UNIT = 3;

/** Whether the text has more than `max` characters; one that is far longer, or far shorter, is not normalized for it. */
export function isLongerThan(text: string, max: number): boolean {
  if (text.length * UNITS_PER_UNIT <= max) return false;
  return isFarLonger(text, max) || characters(text) > max;
}

/** Number of runs without white space. */
export function words(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

/** As `1 word` and `2 words`. */
export function counted(count: number, unit: string, units = `${unit}s`): string {
  return `${count} ${count === 1 ? unit : units}`;
}

/** Tells that there are more than may be. */
export function tooMany(count: number, max: number, unit: string, units?: string): string {
  return `has ${counted(count, unit, units)}; at most ${counted(max, 'is', 'are')} allowed`;
}

/** Tells that there are fewer than must be. */
export function tooFew(count: number, min: number, unit: string, units?: string): string {
  return `has ${counted(count, unit, units)}; at least ${counted(min, 'is', 'are')} required`;
}

/** Whether there is nothing but white space. */
export function isBlank(text: string): boolean {
  return text.trim() === '';
}

const MAX_CUT_UNITS = 80;

/** The text for a message to people, cut if it is long. */
export function cut(text: string, units = MAX_CUT_UNITS): string {
  return text.length > units ? `${text.slice(0, units).toWellFormed()}…` : text;
}

/** The text as a JSON string for a message to people, cut if it is long. */
export function excerpt(text: string): string {
  return JSON.stringify(cut(text));
}

/** Checks that the text has at most `max` characters. */
export function checkLength(violations: Violations, field: string, text: string, max: number): void {
  if (!isLongerThan(text, max)) return;
  const length = isFarLonger(text, max) ? 'many more' : characters(text);
  violations.add(field, 'TOO_LONG', `must have at most ${max} characters, not ${length}`);
}

/** Checks a text for people, at most 1,000 characters. @returns the form in which it is stored */
export function checkDescription(violations: Violations, field: string, raw: string): string {
  const description = normalizeNote(raw);
  checkLength(violations, field, description, MAX_DESCRIPTION_CHARACTERS);
  return description;
}
