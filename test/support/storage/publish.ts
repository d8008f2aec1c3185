import type { Document } from '../../../src/domain/document.ts';
import { bundleVersion, draftRecord, TENANT_DOCUMENT, tenantRecord } from './records.ts';
import type { Registry } from './registry.ts';

/** An exact version of a tenant's own bundle. */
export interface VersionName {
  readonly tenant: string;
  readonly bundleId: string;
  readonly version: string;
}

/** Publishes a snapshot under each of the names, whose tenants and bundles are made where there are none. */
export async function publish(registry: Registry, snapshot: Document, ...names: VersionName[]): Promise<void> {
  await registry.write(async (tx) => {
    await tx.putDocument(snapshot);
    await tx.putDocument(TENANT_DOCUMENT);
    for (const { tenant, bundleId, version } of names) {
      const bundle = draftRecord(bundleId, { tenant });
      await tx.putDocument(bundle.draft);
      await tx.insertTenant(tenantRecord(tenant));
      await tx.insertBundle(bundle, []);
      await tx.insertBundleVersion(bundleVersion(bundleId, version, { tenant, snapshot }));
    }
  });
}
