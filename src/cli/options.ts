import type { DescEnum } from '@bufbuild/protobuf';
import { timestampFromDate, type Timestamp } from '@bufbuild/protobuf/wkt';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { enumNames } from './enum-name.ts';
import { UsageError } from './failure.ts';

/** Options of every list. */
export interface PageOptions {
  readonly pageSize?: number;
  readonly pageToken?: string;
}

/** Options that bound a time. */
export interface TimeOptions {
  readonly since?: Timestamp;
  readonly until?: Timestamp;
}

/** A whole number from 0 to 2^31 - 1: what a revision, an edit_version or a page size can be. */
export function wholeNumber(text: string): number {
  return numberUpTo(2 ** 31 - 1, text);
}

/** How many are wanted: at least one. */
export function wantedNumber(text: string): number {
  const number = wholeNumber(text);
  if (number === 0) throw new InvalidArgumentError('It must be at least 1.');
  return number;
}

/** A place in the change log, from 0. */
export function seqNumber(text: string): number {
  return numberUpTo(Number.MAX_SAFE_INTEGER, text);
}

/** An option that may be repeated; its value is the list of words as they were typed. */
export function repeated(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be repeated`).default([]).argParser(collect);
}

/** A repeated option of `name=value` words. */
export function assignments(flags: string, description: string): Option {
  return repeated(flags, description).argParser((word: string, before: readonly string[]) => {
    if (word.indexOf('=') < 1) throw new InvalidArgumentError('It must have the form name=value.');
    return collect(word, before);
  });
}

/** A repeated option of labels, all of which a render has. */
export function labels(): Option {
  return assignments('--label <name=value>', 'only renders with this label');
}

/** Labels by name. @throws UsageError if one is named twice: a render has one value for it */
export function labelsOf(words: readonly string[]): Record<string, string> {
  const byName = new Map<string, string>();
  for (const word of words) {
    const split = word.indexOf('=');
    const name = word.slice(0, split);
    if (byName.has(name)) throw new UsageError(`--label ${name}=… is given twice; a render has one value`);
    byName.set(name, word.slice(split + 1));
  }
  // Not by assignment, which means something else for `__proto__`: a filter that lost a label would name more.
  return Object.fromEntries(byName);
}

/** An option whose values are the short names of an enumeration. */
export function choice(flags: string, description: string, schema: DescEnum): Option {
  return new Option(flags, description).choices(enumNames(schema));
}

/** Adds the option that names the owner. */
export function owned(command: Command): Command {
  return command.option('--tenant <id>', 'the tenant that owns it', 'default');
}

/** Adds the options of a list. */
export function paged(command: Command): Command {
  return command
    .option('--page-size <n>', 'most items, up to 1000 (default: 50)', wholeNumber)
    .option('--page-token <token>', 'go on where a page ended');
}

/** Adds the options that bound a time. */
export function timed(command: Command): Command {
  return command
    .option('--since <time>', 'only from this time on, as 2026-01-31T08:00:00Z', timestamp)
    .option('--until <time>', 'only before this time', timestamp);
}

/** The bounds of a time, as requests carry them. */
export function timesOf({ since, until }: TimeOptions): { startTime?: Timestamp; endTime?: Timestamp } {
  return { ...(since && { startTime: since }), ...(until && { endTime: until }) };
}

/** Adds the option that makes a write repeatable. */
export function repeatable(command: Command): Command {
  return command.option('--request-id <id>', 'makes the command safe to repeat for 24 h', '');
}

/** Adds the option that says which draft was seen. */
export function edited(command: Command): Command {
  return command.option('--edit-version <n>', 'the edit_version that you have seen', wholeNumber);
}

/** Adds the option that says which move was seen. */
export function moved(command: Command): Command {
  return command.option('--expected-revision <n>', 'refuse unless the pointer stands at this revision', wholeNumber);
}

/** A time with its offset, or the beginning of a day in UTC: the same wherever it is typed. */
export function instant(text: string): Date {
  const date = new Date(/^\d{4}-\d\d-\d\d(T.+(Z|[+-]\d\d:\d\d))?$/.test(text) ? text : Number.NaN);
  const day = text.slice(0, 10);
  // A Date takes February 30 for March 2.
  if (!Number.isNaN(date.getTime()) && new Date(day).toISOString().startsWith(day)) return date;
  throw new InvalidArgumentError('It must be a time, as 2026-01-31 or 2026-01-31T08:00:00Z.');
}

function numberUpTo(max: number, text: string): number {
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || number > max) {
    throw new InvalidArgumentError(`It must be a whole number, at most ${max}.`);
  }
  return number;
}

function timestamp(text: string): Timestamp {
  return timestampFromDate(instant(text));
}

function collect(word: string, before: readonly string[]): readonly string[] {
  return [...before, word];
}
