import { AlreadyExists, NotFound, Stale, Violations } from '../domain/errors.ts';
import { checkId } from '../domain/identifier.ts';
import type { JsonObject } from '../domain/json.ts';
import { MAX_DISPLAY_NAME_CHARACTERS, MAX_RETENTION_DAYS, MAX_TENANT_LEVELS } from '../domain/limits.ts';
import type { CapturePolicy } from '../domain/prompt-type.ts';
import { ROOT_TENANT, tenantDocument } from '../domain/tenant.ts';
import { isLongerThan } from '../domain/text.ts';
import { checkValues } from '../domain/variables.ts';
import { checkEditVersion, requireTenant } from './write-checks.ts';
import type { Stores, TenantRecord, WriteTransaction } from './stores.ts';

export interface TenantInput {
  readonly tenant: string;
  /** Empty: the root. */
  readonly parent: string;
  readonly displayName: string;
  readonly variables: JsonObject;
  readonly capturePolicy: CapturePolicy;
  /** Days; 0: as the parent. */
  readonly receiptRetentionDays: number;
}

export interface TenantWritten {
  readonly tenant: TenantRecord;
  readonly seq: number;
}

/** Keeps the tree of brands (spec section 1). */
export class TenantService {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /** @throws InvalidInput, NotFound (the parent), AlreadyExists */
  async create(tx: WriteTransaction, input: TenantInput): Promise<TenantWritten> {
    const violations = new Violations();
    checkId(violations, 'tenant', input.tenant);
    checkContent(violations, input);
    await tx.lockTenantTree();
    const parent = input.parent || ROOT_TENANT;
    await requireTenant(tx, parent);
    await checkDepth(violations, tx, parent, 1);
    violations.throwIfAny();

    const document = tenantDocument({ ...input, parent });
    const record: TenantRecord = {
      ...input,
      parent,
      editVersion: 1,
      documentHash: document.hash,
      createTime: tx.time,
      updateTime: tx.time,
      updateActor: tx.actor,
    };
    await tx.putDocument(document);
    if (input.tenant === ROOT_TENANT || !(await tx.insertTenant(record))) {
      throw new AlreadyExists('tenant', input.tenant, 'choose another id');
    }
    const seq = await this.#append(tx, 'CREATE', record, '');
    return { tenant: record, seq };
  }

  /** Replaces all that the tenant holds. @throws InvalidInput, NotFound (the tenant, the parent), Stale */
  async update(tx: WriteTransaction, input: TenantInput & { readonly editVersion: number }): Promise<TenantWritten> {
    const violations = new Violations();
    checkEditVersion(violations, input.editVersion);
    checkContent(violations, input);
    await tx.lockTenantTree();
    const current = await tx.tenants.find(input.tenant);
    if (current === undefined) throw new NotFound('tenant', input.tenant);
    const parent = input.tenant === ROOT_TENANT ? input.parent : input.parent || ROOT_TENANT;
    if (parent !== current.parent) await checkMove(violations, tx, input.tenant, parent);
    violations.throwIfAny();
    if (current.editVersion !== input.editVersion) throw staleTenant(current, input.editVersion);

    const document = tenantDocument({ ...input, parent });
    const record: TenantRecord = {
      tenant: input.tenant,
      parent,
      displayName: input.displayName,
      variables: input.variables,
      capturePolicy: input.capturePolicy,
      receiptRetentionDays: input.receiptRetentionDays,
      editVersion: current.editVersion + 1,
      documentHash: document.hash,
      createTime: current.createTime,
      updateTime: tx.time,
      updateActor: tx.actor,
    };
    await tx.putDocument(document);
    await tx.updateTenant(record);
    const seq = await this.#append(tx, 'UPDATE', record, current.documentHash);
    return { tenant: record, seq };
  }

  /** @throws NotFound */
  async get(tenant: string): Promise<TenantRecord> {
    const record = await this.#stores.tenants.find(tenant);
    if (record === undefined) throw new NotFound('tenant', tenant);
    return record;
  }

  /** By id, ascending. */
  list(after: string, limit: number): Promise<TenantRecord[]> {
    return this.#stores.tenants.list(after, limit);
  }

  #append(
    tx: WriteTransaction,
    action: 'CREATE' | 'UPDATE',
    record: TenantRecord,
    beforeHash: string,
  ): Promise<number> {
    return tx.appendChange({
      action,
      tenant: record.tenant,
      entityKind: 'TENANT',
      entityId: record.tenant,
      beforeHash,
      afterHash: record.documentHash,
      detail: { edit_version: record.editVersion },
    });
  }
}

function checkContent(violations: Violations, input: TenantInput): void {
  if (isLongerThan(input.displayName, MAX_DISPLAY_NAME_CHARACTERS)) {
    violations.add('display_name', 'TOO_LONG', `at most ${MAX_DISPLAY_NAME_CHARACTERS} characters are allowed`);
  }
  checkValues(violations, 'variables', input.variables);
  const days = input.receiptRetentionDays;
  if (days < 0 || days > MAX_RETENTION_DAYS) {
    violations.add('receipt_retention_days', 'OUT_OF_RANGE', `must be from 0 to ${MAX_RETENTION_DAYS} days`);
  }
}

async function checkMove(violations: Violations, tx: WriteTransaction, tenant: string, parent: string): Promise<void> {
  if (tenant === ROOT_TENANT) {
    violations.add('parent', 'NOT_APPLICABLE', `${ROOT_TENANT} is the root of the tree; leave the parent empty`);
    return;
  }
  await requireTenant(tx, parent);
  if ((await tx.tenants.subtree(tenant)).includes(parent)) {
    violations.add('parent', 'CYCLE', `${parent} is ${tenant} or a descendant of it; choose another`);
    return;
  }
  await checkDepth(violations, tx, parent, await tx.tenants.height(tenant));
}

/** @param height the levels that would stand below the parent */
async function checkDepth(violations: Violations, tx: WriteTransaction, parent: string, height: number): Promise<void> {
  const levels = (await tx.tenants.lineage(parent)).length + height;
  if (levels <= MAX_TENANT_LEVELS) return;
  const description = `the tree would have ${levels} levels there, at most ${MAX_TENANT_LEVELS} are allowed`;
  violations.add('parent', 'TOO_DEEP', description);
}

function staleTenant(current: TenantRecord, expected: number): Stale {
  return new Stale('STALE_EDIT_VERSION', {
    value: current.editVersion,
    expected,
    draftHash: current.documentHash,
    actor: current.updateActor,
    time: current.updateTime.toISOString(),
  });
}
