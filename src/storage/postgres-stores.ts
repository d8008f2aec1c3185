import type { Stores } from '../services/stores.ts';
import { PostgresActivationStore } from './activation-store.ts';
import { PostgresBundleStore } from './bundle-store.ts';
import { PostgresChangeStore } from './change-store.ts';
import type { EntityAccess } from './database.ts';
import { PostgresDocumentStore } from './document-store.ts';
import { PostgresReceiptStore } from './receipt-store.ts';
import { PostgresReleaseStore } from './release-store.ts';
import { PostgresTemplateStore } from './template-store.ts';
import { PostgresTenantStore } from './tenant-store.ts';

/** All stores over one access: outside a transaction, or in one. */
export class PostgresStores implements Stores {
  readonly tenants: PostgresTenantStore;
  readonly templates: PostgresTemplateStore;
  readonly bundles: PostgresBundleStore;
  readonly releases: PostgresReleaseStore;
  readonly activations: PostgresActivationStore;
  readonly changes: PostgresChangeStore;
  readonly documents: PostgresDocumentStore;
  readonly receipts: PostgresReceiptStore;

  constructor(access: EntityAccess) {
    this.tenants = new PostgresTenantStore(access);
    this.templates = new PostgresTemplateStore(access);
    this.bundles = new PostgresBundleStore(access);
    this.releases = new PostgresReleaseStore(access);
    this.activations = new PostgresActivationStore(access);
    this.changes = new PostgresChangeStore(access);
    this.documents = new PostgresDocumentStore(access);
    this.receipts = new PostgresReceiptStore(access);
  }
}
