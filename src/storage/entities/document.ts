import { defineEntity, p } from '@mikro-orm/postgresql';

/** Canonical JSON under its SHA-256, as exact text. Append-only. */
export const DocumentEntity = defineEntity({
  name: 'Document',
  tableName: 'document',
  properties: {
    hash: p.text().primary(),
    content: p.text(),
  },
});
