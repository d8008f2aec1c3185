import { defineEntity, p } from '@mikro-orm/postgresql';

/** A template version that a bundle version was built from. Append-only. */
export const BundleVersionPinEntity = defineEntity({
  name: 'BundleVersionPin',
  tableName: 'bundle_version_pin',
  properties: {
    tenant: p.text().primary(),
    bundleId: p.text().primary(),
    version: p.text().primary(),
    /** From 0: the personality if there is one, then the template sections in order. */
    ordinal: p.integer().primary(),
    templateTenant: p.text(),
    templateId: p.text(),
    templateVersion: p.text(),
  },
});
