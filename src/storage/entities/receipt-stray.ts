import { defineEntity } from '@mikro-orm/postgresql';
import { receiptProperties } from './receipt.ts';

/** The record of a render whose day has no partition. Append-only. */
export const ReceiptStrayEntity = defineEntity({
  name: 'ReceiptStray',
  tableName: 'receipt_stray',
  properties: receiptProperties,
});
