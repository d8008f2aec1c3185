import { defineEntity, p } from '@mikro-orm/postgresql';

/** A link of the chain of receipts. Append-only. */
export const ReceiptBatchEntity = defineEntity({
  name: 'ReceiptBatch',
  tableName: 'receipt_batch',
  properties: {
    batch: p.bigint('number').primary(),
    /** The UTC day of all its receipts, as `2026-01-31`. */
    day: p.type('date').$type<string>(),
    count: p.integer(),
    root: p.text(),
    prevHash: p.text(),
    chainHash: p.text(),
    time: p.datetime(3),
  },
});
