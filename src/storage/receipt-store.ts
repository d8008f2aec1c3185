import type { InferEntity } from '@mikro-orm/postgresql';
import type { CapturedInputs, ChainedReceipt, ReceiptFilter, ReceiptStore } from '../services/stores.ts';
import type { EntityAccess } from './database.ts';
import { ReceiptPayloadStrayEntity } from './entities/receipt-payload-stray.ts';
import { ReceiptPayloadEntity } from './entities/receipt-payload.ts';
import { ReceiptStrayEntity } from './entities/receipt-stray.ts';
import { ReceiptEntity } from './entities/receipt.ts';

/** Receipts of days with and without a partition, as one. */
export class PostgresReceiptStore implements ReceiptStore {
  readonly #access: EntityAccess;

  constructor(access: EntityAccess) {
    this.#access = access;
  }

  async find(renderId: string): Promise<ChainedReceipt | undefined> {
    const row = await this.#access(
      async (em) => (await em.findOne(ReceiptEntity, { renderId })) ?? em.findOne(ReceiptStrayEntity, { renderId }),
    );
    return row === null ? undefined : toRecord(row);
  }

  async findInputs(renderId: string): Promise<CapturedInputs | undefined> {
    const row = await this.#access(
      async (em) =>
        (await em.findOne(ReceiptPayloadEntity, { renderId })) ?? em.findOne(ReceiptPayloadStrayEntity, { renderId }),
    );
    return row?.inputs;
  }

  async list(filter: ReceiptFilter, before: string, limit: number): Promise<ChainedReceipt[]> {
    const where = {
      ...(filter.tenant && { requestedTenant: filter.tenant }),
      ...(filter.bundleHash && { bundleHash: filter.bundleHash }),
      ...(filter.personalityHash && { personalityHash: filter.personalityHash }),
      ...(filter.caller && { caller: filter.caller }),
      ...(filter.requestId && { requestId: filter.requestId }),
      ...(before && { renderId: { $lt: before } }),
      time: { ...(filter.startTime && { $gte: filter.startTime }), ...(filter.endTime && { $lt: filter.endTime }) },
    };
    const page = { orderBy: { renderId: 'desc' as const }, limit };
    const rows = await this.#access(async (em) => [
      ...(await em.find(ReceiptEntity, where, page)),
      ...(await em.find(ReceiptStrayEntity, where, page)),
    ]);
    return rows
      .toSorted((a, b) => (a.renderId < b.renderId ? 1 : -1))
      .slice(0, limit)
      .map(toRecord);
  }
}

function toRecord(row: InferEntity<typeof ReceiptEntity>): ChainedReceipt {
  const { batchPos: _, ...record } = row;
  return { ...record };
}
