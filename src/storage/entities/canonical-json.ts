import { Type } from '@mikro-orm/postgresql';
import { canonicalJson } from '../../domain/document.ts';
import type { Json } from '../../domain/json.ts';
import { parseJson } from '../../domain/parse-json.ts';

/** JSON kept as the text of its canonical form (RFC 8785): jsonb would reorder keys and merge them. */
export class CanonicalJson extends Type<Json, string> {
  override convertToDatabaseValue(value: Json): string {
    return canonicalJson(value);
  }

  override convertToJSValue(text: string): Json {
    return parseJson(text) as Json;
  }

  override getColumnType(): string {
    return 'text';
  }

  override compareAsType(): string {
    return 'string';
  }
}
