import { raw, type InferEntity, type QBFilterQuery } from '@mikro-orm/postgresql';
import { labelsText } from '../audit/hash-chain.ts';
import type { ReceiptFilter } from '../services/trail.ts';
import type { ReceiptEntity } from './entities/receipt.ts';

/**
 * What a filter asks of a receipt's columns. Times are ranges of the render_id, whose order is that of time: the
 * primary key is their index.
 */
export function receiptsOf(filter: Partial<ReceiptFilter>): QBFilterQuery<InferEntity<typeof ReceiptEntity>> {
  const { tenant, bundleHash, personalityHash, caller, requestId, bundleId, labels = {}, startTime, endTime } = filter;
  return {
    ...(tenant && { requestedTenant: tenant }),
    ...(bundleHash && { bundleHash }),
    ...(personalityHash && { personalityHash }),
    ...(caller && { caller }),
    ...(requestId && { requestId }),
    ...(bundleId && { bundleId }),
    ...(Object.keys(labels).length > 0 && {
      [raw((alias) => `${alias}.labels::jsonb @> ?::jsonb`, [labelsText(labels)])]: [],
    }),
    renderId: idsIn(startTime, endTime),
  };
}

/** The render_ids of a span of time, open where an end is undefined. */
export function idsIn(startTime: Date | undefined, endTime: Date | undefined): { $gte?: string; $lt?: string } {
  return { ...(startTime && { $gte: firstIdAt(startTime) }), ...(endTime && { $lt: firstIdAt(endTime) }) };
}

/** The least UUIDv7 (RFC 9562) of a time: less than, or equal to, all render_ids from then on. */
export function firstIdAt(time: Date): string {
  const milliseconds = Math.max(0, time.getTime()).toString(16).padStart(12, '0');
  return `${milliseconds.slice(0, 8)}-${milliseconds.slice(8)}-0000-0000-000000000000`;
}
