import { defineEntity, p } from '@mikro-orm/postgresql';

/** A mutation's answer, kept for its repeats. */
export const RequestEntity = defineEntity({
  name: 'Request',
  tableName: 'request',
  properties: {
    caller: p.text().primary(),
    rpc: p.text().primary(),
    requestId: p.text().primary(),
    fingerprint: p.text(),
    response: p.blob(),
    /** The last change of the mutation; 0: it made none. */
    seq: p.bigint('number'),
    time: p.datetime(3),
  },
});
