import type { DescEnum } from '@bufbuild/protobuf';
import type { GenEnum } from '@bufbuild/protobuf/codegenv2';

/** The short names that writes accept: without the prefix of the wire, and without UNSPECIFIED. */
export function enumNames(schema: DescEnum): string[] {
  return schema.values.filter((value) => value.number !== 0).map((value) => value.localName);
}

/** The short name of a value: empty for UNSPECIFIED, the number if the server knows more than this client. */
export function enumName(schema: DescEnum, value: number): string {
  if (value === 0) return '';
  return schema.value[value]?.localName ?? String(value);
}

/** The value of a short name; undefined: there is none of this name. */
export function enumValue<E extends number>(schema: GenEnum<E>, name: string): E | undefined {
  const found = schema.values.find((value) => value.number !== 0 && value.localName === name);
  return found?.number as E | undefined;
}
