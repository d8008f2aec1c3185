import { defineEntity, p } from '@mikro-orm/postgresql';
import type { PromptType } from '../../domain/prompt-type.ts';

/** Which bundle answers a tenant's renders by type. */
export const ActivationEntity = defineEntity({
  name: 'Activation',
  tableName: 'activation',
  properties: {
    tenant: p.text().primary(),
    type: p.text().primary().$type<PromptType>(),
    /** Empty: deactivated. */
    bundleId: p.text(),
    revision: p.integer(),
    seq: p.bigint('number'),
    updateTime: p.datetime(3),
    updateActor: p.text(),
  },
});
