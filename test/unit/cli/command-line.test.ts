import assert from 'node:assert/strict';
import { Command } from 'commander';
import { commandLine } from '../../../src/cli/command-line.ts';

describe('A stale save shows the other side\'s changes: the next command', () => {
  const lineOf = (args: readonly string[], overrides: Record<string, string | number> = {}): string => {
    let line = '';
    const program = new Command('platen').enablePositionalOptions();
    program
      .command('save <id>')
      .option('--tenant <id>', '', 'default')
      .option('--edit-version <n>', '', Number)
      .option('--var <name...>', '')
      .option('--json', '')
      .action((...all: unknown[]) => {
        line = commandLine(all.at(-1) as Command, overrides);
      });
    program.parse(args, { from: 'user' });
    return line;
  };

  it('repeats what was typed, and not the defaults', () => {
    const typed = ['save', 'hello', '--tenant', 'acme', '--var', 'a=1', 'b=2', '--json'];
    assert.equal(lineOf(typed), 'platen save hello --tenant acme --var a=1 --var b=2 --json');
  });

  it('puts other values in place', () => {
    assert.equal(lineOf(['save', 'x', '--edit-version', '6'], { editVersion: 7 }), 'platen save x --edit-version 7');
    assert.equal(lineOf(['save', 'x'], { editVersion: 7 }), 'platen save x --edit-version 7');
  });

  it('quotes for a shell', () => {
    assert.equal(lineOf(['save', "it's", '--tenant', 'a b']), "platen save 'it'\\''s' --tenant 'a b'");
  });
});
