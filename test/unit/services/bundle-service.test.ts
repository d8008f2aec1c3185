import assert from 'node:assert/strict';
import { checked } from '../../../src/domain/checked.ts';
import type { ActivationService } from '../../../src/services/activation-service.ts';
import { BundleService, type SentBundleDraft } from '../../../src/services/bundle-service.ts';
import type { ReleaseService } from '../../../src/services/release-service.ts';
import type { DraftRecord, Stores, TenantRecord, TenantStore, WriteTransaction } from '../../../src/services/stores.ts';
import { bundle, bundleDraft } from '../../support/drafts.ts';
import { partOf, refusal } from '../../support/handler-call.ts';

const bundles = new BundleService(
  partOf<Stores>({}),
  partOf<ReleaseService>({}),
  partOf<ActivationService>({}),
);

/** A transaction on a registry without templates. */
const tx = partOf<WriteTransaction>({
  tenants: partOf<TenantStore>({
    find: async () => partOf<TenantRecord>({}),
    lineage: async (tenant) => [tenant],
  }),
  lockBundle: async () => partOf<DraftRecord>({}),
  shareTemplates: async () => [],
});

/** A draft that names a template, and in whose constraints a mistake was found. */
const mistaken: SentBundleDraft = {
  sent: bundleDraft(),
  draft: checked((violations) => {
    violations.add('draft.constraints[0].regex', 'DOES_NOT_COMPILE', 'close the group');
    return bundle();
  }),
};
const found = [
  'draft.constraints[0].regex DOES_NOT_COMPILE',
  'draft.sections[0].template.template.template_id UNRESOLVED',
];

describe('Every violation is reported at once', () => {
  it('a bundle is created: what the check of its draft found, and the templates that are not there', async () => {
    const input = { ...mistaken, tenant: 'acme', id: 'No', type: undefined };
    const expected = ['bundle_id BAD_FORMAT', 'type UNSPECIFIED', ...found];
    assert.deepEqual(await refusal(bundles.create(tx, input)), expected);
  });

  it('a bundle is updated: what the check of its draft found, and the templates that are not there', async () => {
    const input = { ...mistaken, tenant: 'acme', id: 'welcome', editVersion: 0 };
    assert.deepEqual(await refusal(bundles.update(tx, input)), ['edit_version REQUIRED', ...found]);
  });
});
