import { AuditMigration } from './audit.ts';
import { ReceiptsMigration } from './receipts.ts';
import { RegistryMigration } from './registry.ts';

/** Every migration in order; a name is recorded in the database and never changes. */
export const MIGRATIONS = [
  { name: '0001-registry', class: RegistryMigration },
  { name: '0002-receipts', class: ReceiptsMigration },
  { name: '0003-audit', class: AuditMigration },
];
