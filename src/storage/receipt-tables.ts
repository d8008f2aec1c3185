import type { EntityName, InferEntity } from '@mikro-orm/postgresql';
import { ReceiptPayloadStrayEntity } from './entities/receipt-payload-stray.ts';
import { ReceiptPayloadEntity } from './entities/receipt-payload.ts';
import { ReceiptStrayEntity } from './entities/receipt-stray.ts';
import { ReceiptEntity } from './entities/receipt.ts';

/** A kind of tables of receipts: those of days with a partition, or without. */
export interface ReceiptTables {
  readonly receipts: EntityName<InferEntity<typeof ReceiptEntity>>;
  /** Their captured values. */
  readonly payloads: EntityName<InferEntity<typeof ReceiptPayloadEntity>>;
}

/** Whoever looks for receipts looks in each; a receipt and its values are of one kind. */
export const RECEIPT_TABLES: readonly ReceiptTables[] = [
  { receipts: ReceiptEntity, payloads: ReceiptPayloadEntity },
  { receipts: ReceiptStrayEntity, payloads: ReceiptPayloadStrayEntity },
];
