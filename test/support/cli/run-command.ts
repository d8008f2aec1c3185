import { Readable } from 'node:stream';
import { addClientCommands, newProgram, runProgram } from '../../../src/cli/index.ts';
import type { Input, Output, Terminal } from '../../../src/cli/terminal.ts';
import { startScriptedServer, type Call, type Script } from './scripted-server.ts';

/** How a command is run. */
export interface Circumstances {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether standard output is a terminal. */
  readonly tty?: boolean;
  /** Whether standard input and standard error are a terminal. */
  readonly interactive?: boolean;
  /** Standard output, if it is to do anything but keep what is written. */
  readonly stdout?: Output;
}

/** What a command did. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `platen` in this process with the words after it. */
export async function runCommand(args: readonly string[], circumstances: Circumstances = {}): Promise<Outcome> {
  const interactive = circumstances.interactive === true;
  const [stdout, stderr] = [sink(circumstances.tty === true), sink(interactive)];
  const terminal: Terminal = {
    stdin: input(circumstances.stdin ?? '', interactive),
    stdout: circumstances.stdout ?? stdout,
    stderr,
    env: circumstances.env ?? {},
  };
  const program = newProgram(terminal);
  addClientCommands(program, terminal);
  await runProgram(program, args, terminal);
  return { exitCode: Number(terminal.exitCode ?? 0), stdout: stdout.text(), stderr: stderr.text() };
}

/** Runs `platen` against a server that answers as the script says. */
export async function runAgainst(
  script: Script,
  args: readonly string[],
  circumstances: Circumstances = {},
): Promise<Outcome & { readonly calls: readonly Call[] }> {
  const server = await startScriptedServer(script);
  try {
    const env = { PLATEN_SERVER: server.address, ...circumstances.env };
    return { ...(await runCommand(args, { ...circumstances, env })), calls: server.calls };
  } finally {
    await server.close();
  }
}

function sink(isTTY: boolean): Output & { text(): string } {
  const parts: string[] = [];
  const write: Output['write'] = (text, done) => {
    parts.push(text);
    done?.();
  };
  return { write, isTTY, text: () => parts.join('') };
}

function input(text: string, isTTY: boolean): Input {
  return Object.assign(Readable.from([Buffer.from(text, 'utf8')]), { isTTY });
}
