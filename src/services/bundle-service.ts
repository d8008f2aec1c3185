import {
  bundleDocument,
  parseBundleDocument,
  templateRefs,
  type BundleDraft,
  type UncheckedBundleDraft,
} from '../domain/bundle.ts';
import type { Checked } from '../domain/checked.ts';
import { AlreadyExists, NotFound, PreconditionFailed, Violations, type Obstacle } from '../domain/errors.ts';
import { checkId } from '../domain/identifier.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import { checkVersion, isHigher } from '../domain/semver.ts';
import { buildSnapshot, constraintsHash, personalityHash, snapshotDocument } from '../domain/snapshot.ts';
import type { ActivationService } from './activation-service.ts';
import { checkEditVersion, requireTenant, requireType, writable } from './write-checks.ts';
import type { ReleaseService } from './release-service.ts';
import type {
  ActivationRecord,
  BundleVersionRecord,
  DraftRecord,
  Positioned,
  ReleaseRecord,
  Stores,
  WriteTransaction,
} from './stores.ts';
import type { ChangeAction } from './trail.ts';
import { pinTemplates, placedRefs, type PlacedRef } from './template-pinning.ts';

/** A draft that is to be saved. */
export interface SentBundleDraft {
  /** As it was sent: what it refers to is looked up even if it is not sound. */
  readonly sent: UncheckedBundleDraft | undefined;
  readonly draft: Checked<BundleDraft>;
}

export interface BundleWritten {
  readonly bundle: DraftRecord;
  readonly seq: number;
}

export interface BundlePublished {
  readonly version: BundleVersionRecord;
  readonly release: ReleaseRecord | undefined;
  readonly activation: ActivationRecord | undefined;
  /** Of the last change that was written. */
  readonly seq: number;
}

/** Keeps bundles: one mutable draft each, and immutable versions (spec section 3). */
export class BundleService {
  readonly #stores: Stores;
  readonly #releases: ReleaseService;
  readonly #activations: ActivationService;

  constructor(stores: Stores, releases: ReleaseService, activations: ActivationService) {
    this.#stores = stores;
    this.#releases = releases;
    this.#activations = activations;
  }

  /** @throws InvalidInput, NotFound (tenant), AlreadyExists */
  async create(
    tx: WriteTransaction,
    input: SentBundleDraft & { tenant: string; id: string; type: PromptType | undefined },
  ): Promise<BundleWritten> {
    const violations = new Violations();
    checkId(violations, 'bundle_id', input.id);
    const type = requireType(violations, input.type);
    violations.addAll(input.draft);
    await requireTenant(tx, input.tenant);
    if (input.sent) await shareNamed(violations, tx, await tx.tenants.lineage(input.tenant), input.sent);
    violations.throwIfAny();

    const draft = input.draft.value!;
    const document = bundleDocument(type!, draft);
    const record: DraftRecord = {
      tenant: input.tenant,
      id: input.id,
      type: type!,
      editVersion: 1,
      draft: document,
      latestVersion: '',
      createTime: tx.time,
      updateTime: tx.time,
      updateActor: tx.actor,
      archiveTime: undefined,
    };
    await tx.putDocument(document);
    if (!(await tx.insertBundle(record, templateRefs(draft)))) {
      throw new AlreadyExists('bundle', name(record), 'ids stay reserved, archived ones too: choose another');
    }
    const seq = await append(tx, 'CREATE', record, '', document.hash, { type: record.type, edit_version: 1 });
    return { bundle: record, seq };
  }

  /** Replaces the whole draft. @throws InvalidInput, NotFound, PreconditionFailed, Stale */
  async update(
    tx: WriteTransaction,
    input: SentBundleDraft & { tenant: string; id: string; editVersion: number },
  ): Promise<BundleWritten> {
    const violations = new Violations();
    checkEditVersion(violations, input.editVersion);
    violations.addAll(input.draft);
    const locked = await tx.lockBundle(input.tenant, input.id);
    if (locked === undefined) throw new NotFound('bundle', name(input));
    if (input.sent) await shareNamed(violations, tx, await tx.tenants.lineage(input.tenant), input.sent);
    violations.throwIfAny();

    const current = writable(locked, 'bundle', name(input), input.editVersion);
    const draft = input.draft.value!;
    const document = bundleDocument(current.type, draft);
    const record: DraftRecord = {
      ...current,
      editVersion: current.editVersion + 1,
      draft: document,
      updateTime: tx.time,
      updateActor: tx.actor,
    };
    await tx.putDocument(document);
    await tx.updateBundle(record, templateRefs(draft));
    const detail = { edit_version: record.editVersion };
    const seq = await append(tx, 'UPDATE', record, current.draft.hash, document.hash, detail);
    return { bundle: record, seq };
  }

  /**
   * Pins the templates and freezes the draft under a semver; releases and activates it if asked.
   * @throws InvalidInput with every problem of the bundle, NotFound, PreconditionFailed, Stale, AlreadyExists
   */
  async publish(
    tx: WriteTransaction,
    input: { tenant: string; id: string; version: string; editVersion: number; channel: string; activate: boolean },
  ): Promise<BundlePublished> {
    const { tenant, id } = input;
    const violations = new Violations();
    checkEditVersion(violations, input.editVersion);
    checkVersion(violations, 'version', input.version);
    if (input.channel) checkId(violations, 'channel', input.channel);
    if (input.editVersion < 1) violations.throwIfAny();

    const { type } = found(await tx.bundles.find(tenant, id), input);
    const active = input.activate ? await tx.lockActivation(tenant, type) : undefined;
    const head = input.channel ? await tx.lockChannel(tenant, id, input.channel) : undefined;
    const current = writable(await tx.lockBundle(tenant, id), 'bundle', name(input), input.editVersion);

    const version = await buildVersion(violations, tx, current, input.version);
    await tx.putDocument(version.snapshot);
    if (!(await tx.insertBundleVersion(version))) {
      const taken = `${name(input)}@${input.version}`;
      throw new AlreadyExists('bundle_version', taken, 'a published version never changes: publish under another');
    }
    if (isHigher(input.version, current.latestVersion)) {
      const { draft } = parseBundleDocument(current.draft.text);
      await tx.updateBundle({ ...current, latestVersion: input.version }, templateRefs(draft));
    }

    const bundleHash = version.snapshot.hash;
    const detail = {
      version: input.version,
      edit_version: current.editVersion,
      draft_hash: current.draft.hash,
      pins: version.pins.map(pinDetail),
    };
    let seq = await append(tx, 'PUBLISH', current, '', bundleHash, detail);
    let release: ReleaseRecord | undefined;
    if (input.channel) {
      const channel = { tenant, bundleId: id, channel: input.channel };
      const published = { version: input.version, bundleHash };
      ({ release, seq } = await this.#releases.releasePublished(tx, channel, head, published));
    }
    let activation: ActivationRecord | undefined;
    if (input.activate) ({ activation, seq } = await this.#activations.move(tx, tenant, type, active, id));
    return { version, release, activation, seq };
  }

  /**
   * Archives a bundle that no channel and no activation serves.
   * @throws InvalidInput, NotFound, PreconditionFailed, Stale
   */
  async archive(
    tx: WriteTransaction,
    input: { tenant: string; id: string; editVersion: number },
  ): Promise<BundleWritten> {
    const violations = new Violations();
    checkEditVersion(violations, input.editVersion);
    violations.throwIfAny();

    const current = writable(await tx.lockBundle(input.tenant, input.id), 'bundle', name(input), input.editVersion);
    const obstacles = await servedBy(tx, input.tenant, input.id);
    if (obstacles.length > 0) throw new PreconditionFailed('RESOURCE_IN_USE', obstacles);
    const record: DraftRecord = { ...current, archiveTime: tx.time };
    await tx.updateBundle(record, []);
    const detail = { edit_version: current.editVersion };
    const seq = await append(tx, 'ARCHIVE', record, current.draft.hash, '', detail);
    return { bundle: record, seq };
  }

  /** Archived ones too. @throws NotFound */
  async get(tenant: string, id: string): Promise<DraftRecord> {
    return found(await this.#stores.bundles.find(tenant, id), { tenant, id });
  }

  /** A tenant's own by id, ascending. @throws NotFound (tenant) */
  async list(
    tenant: string,
    filter: { type: PromptType | undefined; archived: boolean },
    after: string,
    limit: number,
  ): Promise<DraftRecord[]> {
    await requireTenant(this.#stores, tenant);
    return this.#stores.bundles.list(tenant, filter, after, limit);
  }

  /** @throws NotFound */
  async getVersion(tenant: string, id: string, version: string): Promise<BundleVersionRecord> {
    const record = await this.#stores.bundles.findVersion(tenant, id, version);
    if (record === undefined) throw new NotFound('bundle_version', `${tenant}/${id}@${version}`);
    return record;
  }

  /** The latest publication first. @throws NotFound (bundle) */
  async listVersions(
    tenant: string,
    id: string,
    after: number,
    limit: number,
  ): Promise<Positioned<BundleVersionRecord>[]> {
    await this.get(tenant, id);
    return this.#stores.bundles.listVersions(tenant, id, after, limit);
  }
}

/** @throws NotFound */
function found(record: DraftRecord | undefined, bundle: { tenant: string; id: string }): DraftRecord {
  if (record === undefined) throw new NotFound('bundle', name(bundle));
  return record;
}

/**
 * Keeps the templates that a draft names from being archived meanwhile; those that do not exist are violations.
 * @param lineage the bundle's tenant and its ancestors, nearest first
 * @returns the references, undefined for those violations
 */
async function shareNamed(
  violations: Violations,
  tx: WriteTransaction,
  lineage: readonly string[],
  draft: UncheckedBundleDraft,
): Promise<(PlacedRef | undefined)[]> {
  const refs = placedRefs(draft, 'draft');
  const shared = await tx.shareTemplates(lineage, [...new Set(refs.map((ref) => ref.templateId))]);
  return refs.map((ref) => {
    const { templateId, field } = ref;
    if (shared.some(({ id }) => id === templateId)) return ref;
    const description = `template ${templateId} does not exist in ${lineage[0]} or an ancestor, or is archived`;
    violations.add(`${field}.template_id`, 'UNRESOLVED', description);
    return undefined;
  });
}

/** What a locked draft is published as. @throws InvalidInput with every problem */
async function buildVersion(
  violations: Violations,
  tx: WriteTransaction,
  bundle: DraftRecord,
  version: string,
): Promise<BundleVersionRecord> {
  const { draft } = parseBundleDocument(bundle.draft.text);
  const lineage = await tx.tenants.lineage(bundle.tenant);
  const refs = await shareNamed(violations, tx, lineage, draft);
  const pinned = await pinTemplates(violations, tx, lineage, refs);
  const templates = pinned.map((template) => template?.draft);
  const snapshot = buildSnapshot(violations, draft, templates);
  violations.throwIfAny();
  return {
    tenant: bundle.tenant,
    id: bundle.id,
    version,
    type: bundle.type,
    draft: bundle.draft,
    snapshot: snapshotDocument(snapshot),
    personalityHash: personalityHash(snapshot),
    constraintsHash: constraintsHash(snapshot),
    pins: pinned.map((template) => template!.pin),
    editVersion: bundle.editVersion,
    createTime: tx.time,
    createActor: tx.actor,
  };
}

/** The channels and activations that serve a bundle. */
async function servedBy(tx: WriteTransaction, tenant: string, id: string): Promise<Obstacle[]> {
  const obstacles: Obstacle[] = [];
  for (const { channel, targets } of await tx.releases.heads(tenant, id)) {
    const version = targets[0]?.version;
    if (version === undefined) continue;
    const description = `channel ${channel} points at ${version}; withdraw it first`;
    obstacles.push({ type: 'CHANNEL', subject: `${tenant}/${id}#${channel}`, description });
  }
  const subtree = await tx.tenants.subtree(tenant);
  for (const activation of await tx.activations.naming(subtree, id)) {
    const lineage = await tx.tenants.lineage(activation.tenant);
    const nearer = await tx.bundles.holders(lineage.slice(0, lineage.indexOf(tenant)), id);
    if (nearer.length > 0) continue;
    const description = `tenant ${activation.tenant} activates it for ${activation.type}; deactivate it first`;
    obstacles.push({ type: 'ACTIVATION', subject: `${activation.tenant}/${activation.type}`, description });
  }
  return obstacles;
}

function name({ tenant, id }: { tenant: string; id: string }): string {
  return `${tenant}/${id}`;
}

function pinDetail(pin: { tenant: string; templateId: string; version: string }): Record<string, string> {
  return { tenant: pin.tenant, template_id: pin.templateId, version: pin.version };
}

function append(
  tx: WriteTransaction,
  action: ChangeAction,
  record: DraftRecord,
  beforeHash: string,
  afterHash: string,
  detail: Parameters<WriteTransaction['appendChange']>[0]['detail'],
): Promise<number> {
  const { tenant, id } = record;
  return tx.appendChange({ action, tenant, entityKind: 'BUNDLE', entityId: id, beforeHash, afterHash, detail });
}
