import { defineEntity, p } from '@mikro-orm/postgresql';
import { CanonicalJson } from './canonical-json.ts';

/** Values that the drain must not bring back; empty members mean any. Append-only. */
export const ErasureEntity = defineEntity({
  name: 'Erasure',
  tableName: 'erasure',
  properties: {
    /** The change that tells of it. */
    seq: p.bigint('number').primary(),
    requestedTenant: p.text(),
    caller: p.text(),
    /** All of them. */
    labels: p.type(CanonicalJson).$type<Readonly<Record<string, string>>>(),
    firstId: p.uuid(),
    /** Exclusive. */
    endId: p.uuid(),
  },
});
