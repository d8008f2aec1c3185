import { defineEntity, p } from '@mikro-orm/postgresql';

/** The last batch of receipts: one row, locked by every drain. */
export const ReceiptHeadEntity = defineEntity({
  name: 'ReceiptHead',
  tableName: 'receipt_head',
  properties: {
    one: p.boolean().primary(),
    batch: p.bigint('number'),
    chainHash: p.text(),
  },
});
