import { defineEntity, p } from '@mikro-orm/postgresql';
import type { PromptType } from '../../domain/prompt-type.ts';
import { DocumentEntity } from './document.ts';

/** A published version of a template. Append-only. */
export const TemplateVersionEntity = defineEntity({
  name: 'TemplateVersion',
  tableName: 'template_version',
  properties: {
    tenant: p.text().primary(),
    id: p.text().primary(),
    version: p.text().primary(),
    /** Rises in the order of publication. */
    position: p.bigint('number').autoincrement(),
    type: p.text().$type<PromptType>(),
    document: () => p.manyToOne(DocumentEntity).joinColumn('document_hash'),
    editVersion: p.integer(),
    createTime: p.datetime(3),
    createActor: p.text(),
  },
});
