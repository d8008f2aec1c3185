import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ValueSchema } from '@bufbuild/protobuf/wkt';

export type ValueInit = MessageInitShape<typeof ValueSchema>;

export function text(value: string): ValueInit {
  return { kind: { case: 'stringValue', value } };
}

export function number(value: number): ValueInit {
  return { kind: { case: 'numberValue', value } };
}

export function list(values: readonly ValueInit[]): ValueInit {
  return { kind: { case: 'listValue', value: { values: [...values] } } };
}

/** Bytes of a field of protobuf that holds bytes, a string or a message. */
export function field(number: number, content: Uint8Array = new Uint8Array()): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.byteLength), content]);
}

/** Bytes, again and again. */
export function many(bytes: Uint8Array, times: number): Buffer {
  return Buffer.alloc(bytes.byteLength * times, bytes);
}

function varint(value: number): Buffer {
  const bytes = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
