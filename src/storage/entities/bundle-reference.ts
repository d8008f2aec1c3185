import { defineEntity, p } from '@mikro-orm/postgresql';

/** A template that a bundle's draft names, with the version or range it names it by. */
export const BundleReferenceEntity = defineEntity({
  name: 'BundleReference',
  tableName: 'bundle_reference',
  properties: {
    tenant: p.text().primary(),
    bundleId: p.text().primary(),
    templateId: p.text().primary(),
    version: p.text().primary(),
  },
});
