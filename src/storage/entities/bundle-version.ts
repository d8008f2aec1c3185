import { defineEntity, p } from '@mikro-orm/postgresql';
import type { PromptType } from '../../domain/prompt-type.ts';
import { DocumentEntity } from './document.ts';

/** A published version of a bundle. Append-only. */
export const BundleVersionEntity = defineEntity({
  name: 'BundleVersion',
  tableName: 'bundle_version',
  properties: {
    tenant: p.text().primary(),
    id: p.text().primary(),
    version: p.text().primary(),
    /** Rises in the order of publication. */
    position: p.bigint('number').autoincrement(),
    type: p.text().$type<PromptType>(),
    draft: () => p.manyToOne(DocumentEntity).joinColumn('draft_hash'),
    snapshot: () => p.manyToOne(DocumentEntity).joinColumn('snapshot_hash'),
    personalityHash: p.text(),
    constraintsHash: p.text(),
    editVersion: p.integer(),
    createTime: p.datetime(3),
    createActor: p.text(),
  },
});
