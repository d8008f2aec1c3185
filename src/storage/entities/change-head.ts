import { defineEntity, p } from '@mikro-orm/postgresql';

/** The last change: one row, locked last by every write. */
export const ChangeHeadEntity = defineEntity({
  name: 'ChangeHead',
  tableName: 'change_head',
  properties: {
    one: p.boolean().primary(),
    seq: p.bigint('number'),
    chainHash: p.text(),
  },
});
