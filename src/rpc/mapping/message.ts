import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Message } from '../../domain/assembly.ts';
import type { Violations } from '../../domain/errors.ts';
import { checkCounts } from '../../services/render-input.ts';
import type { MessageList, MessageSchema } from '../../../gen/platen/v1/resources_pb.js';
import { roles } from './enums.ts';

const NONE: ReadonlyMap<string, readonly Message[]> = new Map();

/**
 * Messages by placeholder name; too many are refused before any is read, and none come back.
 * @param field path of the map in the request
 */
export function readPlaceholders(
  violations: Violations,
  field: string,
  placeholders: Readonly<Record<string, MessageList>>,
): ReadonlyMap<string, readonly Message[]> {
  const names = Object.keys(placeholders);
  if (names.length === 0) return NONE;
  const byName = new Map<string, readonly Message[]>();
  const count = names.reduce((sum, name) => sum + placeholders[name]!.messages.length, 0);
  if (!checkCounts(violations, field, names.length, count)) return NONE;
  for (const name of names) {
    const messages = placeholders[name]!.messages.map(({ role, content }, index) => ({
      role: roles.name(role) ?? roles.required(violations, `${field}.${name}.messages[${index}].role`, role),
      content,
    }));
    byName.set(name, messages);
  }
  return byName;
}

export function writeMessages(messages: readonly Message[]): MessageInitShape<typeof MessageSchema>[] {
  return messages.map(({ role, content }) => ({ role: roles.number(role), content }));
}
