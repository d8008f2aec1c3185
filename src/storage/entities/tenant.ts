import { defineEntity, p } from '@mikro-orm/postgresql';
import type { JsonObject } from '../../domain/json.ts';
import type { CapturePolicy } from '../../domain/prompt-type.ts';
import { CanonicalJson } from './canonical-json.ts';

/** A brand in the tree of tenants. */
export const TenantEntity = defineEntity({
  name: 'Tenant',
  tableName: 'tenant',
  properties: {
    tenant: p.text().primary(),
    /** Null for the root. */
    parent: p.text().nullable(),
    displayName: p.text(),
    variables: p.type(CanonicalJson).$type<JsonObject>(),
    capturePolicy: p.text().$type<CapturePolicy>(),
    receiptRetentionDays: p.integer(),
    editVersion: p.integer(),
    documentHash: p.text(),
    createTime: p.datetime(3),
    updateTime: p.datetime(3),
    updateActor: p.text(),
  },
});
