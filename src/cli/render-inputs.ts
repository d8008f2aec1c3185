import type { JsonObject } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import type { MessageList } from '../../gen/platen/v1/resources_pb.js';
import { parseHistoryFile, parseRenderFile, readSource, type RenderFile } from './files.ts';
import { assignments } from './options.ts';
import type { Terminal } from './terminal.ts';
import { parseAssignments } from './value.ts';

/** Options that give values to a render, a preview or a replay. */
export interface InputOptions {
  readonly var: readonly string[];
  readonly history?: string;
}

/** Values for variables and placeholders. */
export interface Inputs {
  readonly variables: JsonObject;
  readonly placeholders: Record<string, MessageList>;
}

/** Adds the options that give values. */
export function withInputs(command: Command): Command {
  return command
    .addOption(assignments('--var <name=value>', 'a variable: JSON, or else text; --var \'zip="0123"\' is text'))
    .option('--history <file>', 'messages for the placeholder "history": a YAML or JSON list of {role, content}');
}

/** The request in a render file; an empty one if no file is named. @throws FileError */
export async function renderFileOf(path: string | undefined, terminal: Terminal): Promise<RenderFile> {
  return parseRenderFile(path === undefined ? { name: '', text: '' } : await readSource(path, terminal.stdin));
}

/** The values of a file, with those of the options on top. @throws FileError */
export async function inputsOf(file: RenderFile, options: InputOptions, terminal: Terminal): Promise<Inputs> {
  const history = options.history && parseHistoryFile(await readSource(options.history, terminal.stdin));
  return {
    variables: { ...file.variables, ...parseAssignments(options.var) },
    placeholders: { ...file.placeholders, ...(history && { history }) },
  };
}
