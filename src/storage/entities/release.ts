import { defineEntity, p } from '@mikro-orm/postgresql';
import type { ReleaseKind, ReleaseTarget } from '../../services/stores.ts';
import { CanonicalJson } from './canonical-json.ts';

/** One move of a channel. Append-only. */
export const ReleaseEntity = defineEntity({
  name: 'Release',
  tableName: 'release',
  properties: {
    tenant: p.text().primary(),
    bundleId: p.text().primary(),
    channel: p.text().primary(),
    revision: p.integer().primary(),
    kind: p.text().$type<ReleaseKind>(),
    targets: p.type(CanonicalJson).$type<readonly ReleaseTarget[]>(),
    originRevision: p.integer(),
    seq: p.bigint('number'),
    createTime: p.datetime(3),
    createActor: p.text(),
  },
});
