import { Command, CommanderError, Help, type Option } from 'commander';
import { addAuditCommands } from './audit.ts';
import { addBundleCommands } from './bundle.ts';
import { exitCodeOf, failureText } from './failure.ts';
import { addPreviewCommand } from './preview.ts';
import { addReleaseCommands } from './release.ts';
import { addRenderCommand } from './render.ts';
import { addRouteCommands } from './route.ts';
import { addTemplateCommands } from './template.ts';
import { addTenantCommands } from './tenant.ts';
import type { Terminal } from './terminal.ts';

/**
 * The `platen` command without subcommands: it writes to the terminal and never ends the process. Options belong to
 * the subcommand that they follow, since some have a `--version` of their own.
 */
export function newProgram(terminal: Terminal = process): Command {
  return new Command('platen')
    .description('A prompt registry and renderer behind gRPC.')
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for what is possible)')
    .configureHelp({ optionDescription })
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    });
}

/** Adds the commands that call a server. */
export function addClientCommands(program: Command, terminal: Terminal = process): void {
  addTenantCommands(program, terminal);
  addTemplateCommands(program, terminal);
  addBundleCommands(program, terminal);
  addReleaseCommands(program, terminal);
  addRouteCommands(program, terminal);
  addRenderCommand(program, terminal);
  addPreviewCommand(program, terminal);
  addAuditCommands(program, terminal);
}

/**
 * Runs one command and sets `terminal.exitCode`: 1 for an error, which standard error explains, 2 for a wrong command
 * line, otherwise what the command set. Never rejects. A reader that closes its pipe early is no error.
 * @param args the words after `platen`
 */
export async function runProgram(
  program: Command,
  args: readonly string[],
  terminal: Terminal = process,
): Promise<void> {
  for (const output of [terminal.stdout, terminal.stderr]) output.on?.('error', acceptClosedPipe);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      terminal.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    terminal.stderr.write(failureText(error));
    terminal.exitCode = exitCodeOf(error);
  }
}

// Whoever reads along may have seen enough, as `| head` has.
function acceptClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

// Commander would announce defaults of "", false and [] as well; only one that does something is worth a word.
function optionDescription(option: Option): string {
  const { defaultValue } = option;
  const isEmpty = !defaultValue || Array.isArray(defaultValue);
  const shown = isEmpty ? (Object.create(option, { defaultValue: { value: undefined } }) as Option) : option;
  return new Help().optionDescription(shown);
}
