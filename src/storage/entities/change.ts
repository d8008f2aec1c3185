import { defineEntity, p } from '@mikro-orm/postgresql';
import type { JsonObject } from '../../domain/json.ts';
import type { ChangeAction, EntityKind } from '../../services/trail.ts';
import { CanonicalJson } from './canonical-json.ts';

/** An entry of the change log. Append-only. */
export const ChangeEntity = defineEntity({
  name: 'Change',
  tableName: 'change',
  properties: {
    seq: p.bigint('number').primary(),
    time: p.datetime(3),
    actor: p.text(),
    action: p.text().$type<ChangeAction>(),
    tenant: p.text(),
    entityKind: p.text().$type<EntityKind>(),
    entityId: p.text(),
    beforeHash: p.text(),
    afterHash: p.text(),
    detail: p.type(CanonicalJson).$type<JsonObject>(),
    requestId: p.text(),
    traceId: p.text(),
    prevHash: p.text(),
    chainHash: p.text(),
  },
});
