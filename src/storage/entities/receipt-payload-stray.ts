import { defineEntity } from '@mikro-orm/postgresql';
import { receiptPayloadProperties } from './receipt-payload.ts';

/** The captured values of a render whose day has no partition. Erasable. */
export const ReceiptPayloadStrayEntity = defineEntity({
  name: 'ReceiptPayloadStray',
  tableName: 'receipt_payload_stray',
  properties: receiptPayloadProperties,
});
