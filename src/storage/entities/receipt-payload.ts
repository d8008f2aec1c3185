import { defineEntity, p } from '@mikro-orm/postgresql';
import type { CapturedInputs } from '../../services/trail.ts';
import { CanonicalJson } from './canonical-json.ts';

/** The columns of captured values. */
export const receiptPayloadProperties = {
  renderId: p.uuid().primary(),
  inputs: p.type(CanonicalJson).$type<CapturedInputs>(),
};

/** The captured values of a render, in a partition of its UTC day. Erasable. */
export const ReceiptPayloadEntity = defineEntity({
  name: 'ReceiptPayload',
  tableName: 'receipt_payload',
  properties: receiptPayloadProperties,
});
