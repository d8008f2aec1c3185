import {
  create,
  fromBinary,
  toBinary,
  type DescField,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect';

/** The message as the other side of a connection sees it. */
export function overTheWire<D extends DescMessage>(schema: D, init: MessageInitShape<D>): MessageShape<D> {
  return fromBinary(schema, toBinary(schema, create(schema, init)));
}

/**
 * Paths of the fields that say nothing, in the message and in all within it: to show that a test sets every field, and
 * that a mapping forgets none. A oneof counts as said if one of its fields is.
 */
export function unsetFields<D extends DescMessage>(schema: D, message: MessageShape<D>): string[] {
  return unsetIn(reflect(schema, message), '');
}

function unsetIn(message: ReflectMessage, prefix: string): string[] {
  if (message.desc.typeName.startsWith('google.protobuf.')) return [];
  return message.desc.members.flatMap((member) => {
    const path = prefix + member.name;
    if (member.kind === 'oneof') {
      const chosen = message.oneofCase(member);
      return chosen ? unsetInside(message, chosen, path) : [path];
    }
    return message.isSet(member) ? unsetInside(message, member, path) : [path];
  });
}

function unsetInside(message: ReflectMessage, field: DescField, path: string): string[] {
  if (field.fieldKind === 'message') return unsetIn(message.get(field), `${path}.`);
  if (field.fieldKind === 'list' && field.listKind === 'message') {
    return [...message.get(field)].flatMap((item, index) => unsetIn(item as ReflectMessage, `${path}[${index}].`));
  }
  if (field.fieldKind === 'map' && field.mapKind === 'message') {
    return [...message.get(field)].flatMap(([key, item]) => unsetIn(item as ReflectMessage, `${path}.${String(key)}.`));
  }
  return [];
}
