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

/** Number of runs without white space. */
export function words(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

/** Whether there is nothing but white space. */
export function isBlank(text: string): boolean {
  return text.trim() === '';
}

const MAX_CUT_UNITS = 80;

/** The text for a message to people, cut if it is long. */
export function cut(text: string): string {
  return text.length > MAX_CUT_UNITS ? `${text.slice(0, MAX_CUT_UNITS).toWellFormed()}…` : text;
}

/** The text as a JSON string for a message to people, cut if it is long. */
export function excerpt(text: string): string {
  return JSON.stringify(cut(text));
}

/** Checks that the text has at most `max` characters. */
export function checkLength(violations: Violations, field: string, text: string, max: number): void {
  const length = characters(text);
  if (length > max) violations.add(field, 'TOO_LONG', `must have at most ${max} characters, not ${length}`);
}

/** Checks a text for people, at most 1,000 characters. @returns the form in which it is stored */
export function checkDescription(violations: Violations, field: string, raw: string): string {
  const description = normalizeNote(raw);
  checkLength(violations, field, description, MAX_DESCRIPTION_CHARACTERS);
  return description;
}
