import { NotFound, Violations } from '../domain/errors.ts';
import { checkId } from '../domain/identifier.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import { checkExpectedRevision, requireRevision } from './release-service.ts';
import type { ActivationRecord, Stores, WriteTransaction } from './stores.ts';
import { requireTenant, requireType } from './write-checks.ts';

export interface ActivationMoved {
  readonly activation: ActivationRecord;
  readonly seq: number;
}

/** Names the bundle that answers a tenant's renders by type (spec sections 1 and 3). */
export class ActivationService {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /**
   * The bundle is the tenant's own or an ancestor's, of the same type, and not archived; it need not be released yet.
   * @throws InvalidInput, NotFound, Stale
   */
  async activate(
    tx: WriteTransaction,
    input: {
      tenant: string;
      type: PromptType | undefined;
      bundleId: string;
      expectedRevision: number | undefined;
    },
  ): Promise<ActivationMoved> {
    const violations = new Violations();
    const type = requireType(violations, input.type);
    checkId(violations, 'bundle_id', input.bundleId);
    checkExpectedRevision(violations, input.expectedRevision);
    violations.throwIfAny();
    await requireTenant(tx, input.tenant);

    const current = await lockActivation(tx, input.tenant, type!, input.expectedRevision);
    const lineage = await tx.tenants.lineage(input.tenant);
    const holders = await tx.shareBundles(lineage, input.bundleId);
    if (holders.length === 0) {
      throw new NotFound('bundle', `${input.tenant}/${input.bundleId}`, 'create it in the tenant or an ancestor first');
    }
    if (!holders.some((holder) => holder.type === type)) {
      violations.add('type', 'CONFLICT', `bundle ${input.bundleId} is a ${holders[0]!.type}; name that type`);
      violations.throwIfAny();
    }
    return this.move(tx, input.tenant, type!, current, input.bundleId);
  }

  /** Takes the activation away, so that the ancestors' answer. @throws InvalidInput, NotFound, Stale */
  async deactivate(
    tx: WriteTransaction,
    input: { tenant: string; type: PromptType | undefined; expectedRevision: number | undefined },
  ): Promise<ActivationMoved> {
    const violations = new Violations();
    const type = requireType(violations, input.type);
    checkExpectedRevision(violations, input.expectedRevision);
    violations.throwIfAny();
    await requireTenant(tx, input.tenant);

    const current = await lockActivation(tx, input.tenant, type!, input.expectedRevision);
    if (!current?.bundleId) throw new NotFound('activation', `${input.tenant}/${type}`);
    return this.move(tx, input.tenant, type!, current, '');
  }

  /** Moves a locked activation; an empty bundle takes it away. */
  async move(
    tx: WriteTransaction,
    tenant: string,
    type: PromptType,
    current: ActivationRecord | undefined,
    bundleId: string,
  ): Promise<ActivationMoved> {
    const revision = (current?.revision ?? 0) + 1;
    const seq = await tx.appendChange({
      action: bundleId ? 'ACTIVATE' : 'DEACTIVATE',
      tenant,
      entityKind: 'ACTIVATION',
      entityId: type,
      beforeHash: '',
      afterHash: '',
      detail: { bundle_id: bundleId, previous_bundle_id: current?.bundleId ?? '', revision },
    });
    const activation: ActivationRecord = {
      tenant,
      type,
      bundleId,
      revision,
      seq,
      updateTime: tx.time,
      updateActor: tx.actor,
    };
    await tx.putActivation(activation);
    return { activation, seq };
  }

  /** A tenant's own by type name, ascending. @throws NotFound (tenant) */
  async list(tenant: string, after: string, limit: number): Promise<ActivationRecord[]> {
    await requireTenant(this.#stores, tenant);
    return this.#stores.activations.list(tenant, after, limit);
  }
}

async function lockActivation(
  tx: WriteTransaction,
  tenant: string,
  type: PromptType,
  expected: number | undefined,
): Promise<ActivationRecord | undefined> {
  const current = await tx.lockActivation(tenant, type);
  const known = current && { revision: current.revision, actor: current.updateActor, time: current.updateTime };
  await requireRevision(expected, known, () => draftHash(tx, tenant, current?.bundleId ?? ''));
  return current;
}

/** The hash of the draft of the bundle that a tenant means by an id; empty: there is none. */
async function draftHash(tx: WriteTransaction, tenant: string, bundleId: string): Promise<string> {
  const lineage = await tx.tenants.lineage(tenant);
  const holders = await tx.bundles.holders(lineage, bundleId);
  const nearest = lineage.find((id) => holders.some((holder) => holder.tenant === id));
  return nearest === undefined ? '' : (await tx.bundles.find(nearest, bundleId))!.draft.hash;
}
