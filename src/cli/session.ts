import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { connect, DEFAULT_SERVER, type Clients } from './client.ts';
import { networkCodeOf, UnreachableError } from './failure.ts';
import { json } from './output.ts';
import type { Terminal } from './terminal.ts';

/** One run of a command against a server. */
export class Session {
  readonly clients: Clients;
  readonly terminal: Terminal;
  /** The command that runs, with its options. */
  readonly command: Command;

  constructor(clients: Clients, terminal: Terminal, command: Command) {
    this.clients = clients;
    this.terminal = terminal;
    this.command = command;
  }

  /** Whether the whole response is wanted as JSON. */
  get json(): boolean {
    return this.command.opts().json === true;
  }

  /** Prints a response on standard output: as JSON with --json, else as the text. */
  print<Desc extends DescMessage>(schema: Desc, response: MessageShape<Desc>, text: string): void {
    this.terminal.stdout.write(this.json ? json(schema, response) : text);
  }

  /**
   * Prints a resource: on standard output exactly a document that `--file` takes, on standard error, before it, the
   * facts that are no part of the document. With --json the response holds both.
   */
  printDocument<Desc extends DescMessage>(
    schema: Desc,
    response: MessageShape<Desc>,
    facts: string,
    document: string,
  ): void {
    if (!this.json) this.note(`${facts}\n`);
    this.print(schema, response, document);
  }

  /** Says something beside the response, on standard error. */
  note(text: string): void {
    this.terminal.stderr.write(text);
  }

  /**
   * Writes a part of an endless response on standard output, and resolves when it is written: to true, or to false if
   * whoever read along has closed the pipe.
   */
  write(text: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.terminal.stdout.write(text, (error) => resolve(!error));
    });
  }

  /** Prints a page of a list, and how to get the next one. */
  printPage<Desc extends DescMessage>(
    schema: Desc,
    response: MessageShape<Desc> & { nextPageToken: string },
    text: string,
  ): void {
    this.print(schema, response, text);
    if (response.nextPageToken !== '') this.note(`more: repeat with --page-token ${response.nextPageToken}\n`);
  }
}

/** Adds a command that calls a server. */
export function clientCommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--server <address>', `the server (default: PLATEN_SERVER, else ${DEFAULT_SERVER})`)
    .option('--json', 'print the whole response as JSON');
}

/**
 * The action of a client command: its arguments and options as commander parsed them, after a session that ends with
 * the call.
 * @throws UnreachableError, and whatever the call throws
 */
export function calling<A extends unknown[]>(
  terminal: Terminal,
  call: (session: Session, ...args: A) => Promise<void>,
): (...args: [...A, Command]) => Promise<void> {
  return async (...args) => {
    const command = args.at(-1) as Command;
    const { server: named } = command.opts<{ server?: string }>();
    const { server, clients, close } = connect(named ?? (terminal.env.PLATEN_SERVER || DEFAULT_SERVER));
    try {
      await call(new Session(clients, terminal, command), ...(args.slice(0, -1) as A));
    } catch (error) {
      const network = networkCodeOf(error);
      throw network === undefined ? error : new UnreachableError(server, network);
    } finally {
      close();
    }
  };
}
