import type { Command } from 'commander';

/**
 * The line that was typed, with other values for some options (by attribute name, as `editVersion`): to be pasted
 * into a POSIX shell.
 */
export function commandLine(command: Command, overrides: Readonly<Record<string, string | number>>): string {
  const words = [...path(command), ...command.args];
  for (const option of command.options) {
    const name = option.attributeName();
    const typed = command.getOptionValueSource(name) === 'cli';
    const value: unknown = overrides[name] ?? (typed && command.getOptionValue(name));
    if (value === false) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      words.push(option.long!);
      if (one !== true) words.push(String(one));
    }
  }
  return words.map(shellWord).join(' ');
}

function path(command: Command): string[] {
  return command.parent === null ? [command.name()] : [...path(command.parent), command.name()];
}

/** A word as a POSIX shell reads it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
