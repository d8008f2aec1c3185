import { RoleSchema, type Message } from '../../gen/platen/v1/resources_pb.js';
import { enumName } from './enum-name.ts';
import type { Terminal } from './terminal.ts';

/** Messages one below the other, each under its role. */
export function messagesText(messages: readonly Message[]): string {
  return messages.map(({ role, content }) => `--- ${enumName(RoleSchema, role)} ---\n${content}\n`).join('');
}

/**
 * The text of a prompt as it goes to standard output: its exact bytes, so that `| sha256sum` prints the rendered_hash;
 * a person gets the newline that a terminal needs.
 */
export function promptText(text: string, { stdout }: Terminal): string {
  return stdout.isTTY ? `${text}\n` : text;
}
