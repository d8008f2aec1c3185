import { toBinary, toJson, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { canonicalJson, sha256 } from '../domain/document.ts';
import type { Json } from '../domain/json.ts';

/** A hash of a message's content: of its canonical ProtoJSON, since the order of maps is free in the binary form. */
export function fingerprint<D extends DescMessage>(schema: D, message: MessageShape<D>): string {
  return sha256(canonicalForm(schema, message));
}

function canonicalForm<D extends DescMessage>(schema: D, message: MessageShape<D>): string {
  try {
    return canonicalJson(toJson(schema, message) as Json);
  } catch {
    // ProtoJSON has no form for NaN, for a Value of no kind, and for a Timestamp beyond the year 9999.
    return Buffer.from(toBinary(schema, message)).toString('base64');
  }
}
