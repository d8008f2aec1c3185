import { defineEntity, p } from '@mikro-orm/postgresql';
import type { PromptType } from '../../domain/prompt-type.ts';
import { DocumentEntity } from './document.ts';

/** A bundle: its id and its draft. */
export const BundleEntity = defineEntity({
  name: 'Bundle',
  tableName: 'bundle',
  properties: {
    tenant: p.text().primary(),
    id: p.text().primary(),
    type: p.text().$type<PromptType>(),
    editVersion: p.integer(),
    draft: () => p.manyToOne(DocumentEntity).joinColumn('draft_hash'),
    /** Empty: nothing was published. */
    latestVersion: p.text(),
    createTime: p.datetime(3),
    updateTime: p.datetime(3),
    updateActor: p.text(),
    archiveTime: p.datetime(3).nullable(),
  },
});
