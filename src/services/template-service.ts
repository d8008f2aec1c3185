import type { Checked } from '../domain/checked.ts';
import { AlreadyExists, NotFound, PreconditionFailed, Violations, type Obstacle } from '../domain/errors.ts';
import { checkId } from '../domain/identifier.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import { checkVersion, highestMatch, isHigher } from '../domain/semver.ts';
import { templateDocument, unusedVariables, type TemplateDraft } from '../domain/template.ts';
import { checkEditVersion, requireTenant, requireType, writable } from './write-checks.ts';
import type { DraftRecord, Positioned, Stores, TemplateVersionRecord, WriteTransaction } from './stores.ts';
import type { ChangeAction } from './trail.ts';
import type { Warning } from './warning.ts';

export interface TemplateSaved {
  readonly template: DraftRecord;
  readonly seq: number;
  readonly warnings: readonly Warning[];
}

/** Keeps templates: one mutable draft each, and immutable versions (spec section 3). */
export class TemplateService {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /** @throws InvalidInput, NotFound (tenant), AlreadyExists */
  async create(
    tx: WriteTransaction,
    input: { tenant: string; id: string; type: PromptType | undefined; draft: Checked<TemplateDraft> },
  ): Promise<TemplateSaved> {
    const violations = new Violations();
    checkId(violations, 'template_id', input.id);
    const type = requireType(violations, input.type);
    violations.addAll(input.draft);
    await requireTenant(tx, input.tenant);
    violations.throwIfAny();

    const draft = input.draft.value!;
    const document = templateDocument(type!, draft);
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
    if (!(await tx.insertTemplate(record))) {
      throw new AlreadyExists('template', name(record), 'ids stay reserved, archived ones too: choose another');
    }
    const seq = await append(tx, 'CREATE', record, '', document.hash, { type: record.type, edit_version: 1 });
    return { template: record, seq, warnings: unusedWarnings(draft) };
  }

  /** Replaces the whole draft. @throws InvalidInput, NotFound, PreconditionFailed, Stale */
  async update(
    tx: WriteTransaction,
    input: { tenant: string; id: string; draft: Checked<TemplateDraft>; editVersion: number },
  ): Promise<TemplateSaved> {
    const violations = new Violations();
    checkEditVersion(violations, input.editVersion);
    violations.addAll(input.draft);
    violations.throwIfAny();

    const current = writable(await tx.lockTemplate(input.tenant, input.id), 'template', name(input), input.editVersion);
    const draft = input.draft.value!;
    const document = templateDocument(current.type, draft);
    const record: DraftRecord = {
      ...current,
      editVersion: current.editVersion + 1,
      draft: document,
      updateTime: tx.time,
      updateActor: tx.actor,
    };
    await tx.putDocument(document);
    await tx.updateTemplate(record);
    const detail = { edit_version: record.editVersion };
    const seq = await append(tx, 'UPDATE', record, current.draft.hash, document.hash, detail);
    return { template: record, seq, warnings: unusedWarnings(draft) };
  }

  /** Freezes the draft under a semver. @throws InvalidInput, NotFound, PreconditionFailed, Stale, AlreadyExists */
  async publish(
    tx: WriteTransaction,
    input: { tenant: string; id: string; version: string; editVersion: number },
  ): Promise<{ version: TemplateVersionRecord; seq: number }> {
    const violations = new Violations();
    checkEditVersion(violations, input.editVersion);
    checkVersion(violations, 'version', input.version);
    violations.throwIfAny();

    const current = writable(await tx.lockTemplate(input.tenant, input.id), 'template', name(input), input.editVersion);
    const version: TemplateVersionRecord = {
      tenant: input.tenant,
      id: input.id,
      version: input.version,
      type: current.type,
      document: current.draft,
      editVersion: current.editVersion,
      createTime: tx.time,
      createActor: tx.actor,
    };
    if (!(await tx.insertTemplateVersion(version))) {
      const taken = `${name(input)}@${input.version}`;
      throw new AlreadyExists('template_version', taken, 'a published version never changes: publish under another');
    }
    if (isHigher(input.version, current.latestVersion)) {
      await tx.updateTemplate({ ...current, latestVersion: input.version });
    }
    const detail = { version: input.version, edit_version: current.editVersion };
    const seq = await append(tx, 'PUBLISH', current, '', current.draft.hash, detail);
    return { version, seq };
  }

  /**
   * Archives a template that no unarchived bundle's draft names and no released version is built from.
   * @throws InvalidInput, NotFound, PreconditionFailed, Stale
   */
  async archive(
    tx: WriteTransaction,
    input: { tenant: string; id: string; editVersion: number },
  ): Promise<{ template: DraftRecord; seq: number }> {
    const violations = new Violations();
    checkEditVersion(violations, input.editVersion);
    violations.throwIfAny();

    const current = writable(await tx.lockTemplate(input.tenant, input.id), 'template', name(input), input.editVersion);
    const obstacles = await referrers(tx, current);
    if (obstacles.length > 0) throw new PreconditionFailed('RESOURCE_IN_USE', obstacles);
    const record: DraftRecord = { ...current, archiveTime: tx.time };
    await tx.updateTemplate(record);
    const detail = { edit_version: current.editVersion };
    const seq = await append(tx, 'ARCHIVE', record, current.draft.hash, '', detail);
    return { template: record, seq };
  }

  /** Archived ones too. @throws NotFound */
  async get(tenant: string, id: string): Promise<DraftRecord> {
    const record = await this.#stores.templates.find(tenant, id);
    if (record === undefined) throw new NotFound('template', `${tenant}/${id}`);
    return record;
  }

  /** A tenant's own by id, ascending. @throws NotFound (tenant) */
  async list(
    tenant: string,
    filter: { type: PromptType | undefined; archived: boolean },
    after: string,
    limit: number,
  ): Promise<DraftRecord[]> {
    await requireTenant(this.#stores, tenant);
    return this.#stores.templates.list(tenant, filter, after, limit);
  }

  /** @throws NotFound */
  async getVersion(tenant: string, id: string, version: string): Promise<TemplateVersionRecord> {
    const record = await this.#stores.templates.findVersion(tenant, id, version);
    if (record === undefined) throw new NotFound('template_version', `${tenant}/${id}@${version}`);
    return record;
  }

  /** The latest publication first. @throws NotFound (template) */
  async listVersions(
    tenant: string,
    id: string,
    after: number,
    limit: number,
  ): Promise<Positioned<TemplateVersionRecord>[]> {
    await this.get(tenant, id);
    return this.#stores.templates.listVersions(tenant, id, after, limit);
  }
}

function unusedWarnings(draft: TemplateDraft): Warning[] {
  return unusedVariables(draft).map((variable) => ({
    code: 'VARIABLE_UNUSED',
    subject: variable,
    message: `variable ${variable} is declared and not used`,
  }));
}

function name({ tenant, id }: { tenant: string; id: string }): string {
  return `${tenant}/${id}`;
}

function append(
  tx: WriteTransaction,
  action: ChangeAction,
  record: DraftRecord,
  beforeHash: string,
  afterHash: string,
  detail: Record<string, string | number>,
): Promise<number> {
  const { tenant, id } = record;
  return tx.appendChange({ action, tenant, entityKind: 'TEMPLATE', entityId: id, beforeHash, afterHash, detail });
}

/** Everything that uses the template: drafts that resolve to it, and released versions built from it. */
async function referrers(tx: WriteTransaction, { tenant, id }: DraftRecord): Promise<Obstacle[]> {
  const subtree = await tx.tenants.subtree(tenant);
  const drafts = await tx.bundles.draftsNaming(subtree, id);
  const published = await tx.templates.published(subtree, [id]);
  const obstacles: Obstacle[] = [];
  for (const draft of drafts) {
    if (await usesOf(tx, draft, tenant, published)) {
      const subject = name(draft);
      obstacles.push({ type: 'BUNDLE_DRAFT', subject, description: `the draft of bundle ${subject} names it` });
    }
  }
  for (const { tenant: owner, bundleId, channel, version } of await tx.bundles.releasedPinning(tenant, id)) {
    const subject = `${owner}/${bundleId}#${channel}`;
    const description = `the channel points at version ${version}, which is built from it`;
    obstacles.push({ type: 'RELEASE', subject, description });
  }
  return obstacles;
}

/** Whether a draft that names the template id means the one that `owner` holds, and not a nearer tenant's. */
async function usesOf(
  tx: WriteTransaction,
  draft: { tenant: string; versions: string[] },
  owner: string,
  published: readonly { tenant: string; versions: string[] }[],
): Promise<boolean> {
  const lineage = await tx.tenants.lineage(draft.tenant);
  const nearer = new Set(lineage.slice(0, lineage.indexOf(owner)));
  return draft.versions.some((range) => {
    const shadowed = published.some((held) => nearer.has(held.tenant) && highestMatch(held.versions, range));
    return !shadowed;
  });
}
