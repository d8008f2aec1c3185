import type { DescEnum } from '@bufbuild/protobuf';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { enumNames } from './enum-name.ts';

/** Options of every list. */
export interface PageOptions {
  readonly pageSize?: number;
  readonly pageToken?: string;
}

/** A whole number from 0 to 2^31 - 1: what a revision, an edit_version or a page size can be. */
export function wholeNumber(text: string): number {
  return numberUpTo(2 ** 31 - 1, text);
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

function numberUpTo(max: number, text: string): number {
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || number > max) {
    throw new InvalidArgumentError(`It must be a whole number, at most ${max}.`);
  }
  return number;
}

function collect(word: string, before: readonly string[]): readonly string[] {
  return [...before, word];
}
