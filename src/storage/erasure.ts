import type { EntityManager } from '@mikro-orm/postgresql';
import type { ErasureFilter } from '../services/trail.ts';
import { ErasureEntity } from './entities/erasure.ts';
import { firstIdAt, idsIn, receiptsOf } from './receipt-filter.ts';
import { RECEIPT_TABLES } from './receipt-tables.ts';

const THE_EPOCH = new Date(0);

/**
 * Deletes the captured values of renders before `before` that the filter names, as far as they have arrived.
 *
 * @returns of how many renders
 */
export async function deleteInputs(em: EntityManager, filter: ErasureFilter, before: Date): Promise<number> {
  const endTime = endOf(filter, before);
  let erased = 0;
  for (const { receipts, payloads } of RECEIPT_TABLES) {
    const named = em.createQueryBuilder(receipts, 'r').select('renderId').where(receiptsOf({ ...filter, endTime }));
    // The range once more, so that partitions beyond it are not looked at.
    const renderId = { ...idsIn(filter.startTime, endTime), $in: named.toRaw() };
    erased += (await em.createQueryBuilder(payloads).delete({ renderId }).execute('run')).affectedRows;
  }
  return erased;
}

/** Keeps values that the filter names, and that are on their way, from arriving. */
export async function insertErasure(
  em: EntityManager,
  seq: number,
  filter: ErasureFilter,
  before: Date,
): Promise<void> {
  await em.insert(ErasureEntity, {
    seq,
    requestedTenant: filter.tenant,
    caller: filter.caller,
    labels: filter.labels,
    firstId: firstIdAt(filter.startTime ?? THE_EPOCH),
    endId: firstIdAt(endOf(filter, before)),
  });
}

function endOf({ endTime }: ErasureFilter, before: Date): Date {
  return endTime !== undefined && endTime < before ? endTime : before;
}
