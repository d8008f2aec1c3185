import { parseBundleDocument, type BundleDraft, type UncheckedBundleDraft } from '../domain/bundle.ts';
import type { Document } from '../domain/document.ts';
import { NotFound, type Violations } from '../domain/errors.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import { buildSnapshot, snapshotDocument, templateSnapshot } from '../domain/snapshot.ts';
import { parseTemplateDocument, type TemplateDraft, type UncheckedTemplateDraft } from '../domain/template.ts';
import type { DraftChecks, WorkCall } from './bounded-work.ts';
import type { BundleVersionRecord, Pin, Stores } from './stores.ts';
import { pinTemplates, placedRefs, type PlacedRef } from './template-pinning.ts';
import { requireType } from './write-checks.ts';

/** What to preview. */
export type PreviewSubject =
  | { readonly kind: 'bundleDraft'; readonly id: string }
  | { readonly kind: 'bundleVersion'; readonly id: string; readonly version: string }
  | {
      readonly kind: 'bundleContent';
      readonly type: PromptType | undefined;
      readonly draft: UncheckedBundleDraft | undefined;
    }
  | { readonly kind: 'templateDraft'; readonly id: string }
  | { readonly kind: 'templateVersion'; readonly id: string; readonly version: string }
  | { readonly kind: 'templateContent'; readonly draft: UncheckedTemplateDraft };

/** What a subject comes to. */
export interface PreviewedSubject {
  readonly snapshot: Document;
  /** The personality first if there is one, then the template sections in order. */
  readonly pins: readonly Pin[];
  /** The type of a bundle that holds no template of its own type; undefined: there is nothing to say. */
  readonly missingType: PromptType | undefined;
}

/** Loads and checks what is to be previewed. */
export class PreviewSubjects {
  readonly #stores: Stores;
  readonly #drafts: DraftChecks;

  constructor(stores: Stores, drafts: DraftChecks) {
    this.#stores = stores;
    this.#drafts = drafts;
  }

  /**
   * @param lineage the tenant and its ancestors, nearest first
   * @returns undefined if violations were added
   * @throws NotFound, WorkTooLong, Unavailable
   */
  async load(
    call: WorkCall,
    violations: Violations,
    lineage: readonly string[],
    subject: PreviewSubject,
  ): Promise<PreviewedSubject | undefined> {
    switch (subject.kind) {
      case 'bundleDraft':
        return this.#bundleDraft(violations, lineage, subject.id);
      case 'bundleVersion':
        return this.#bundleVersion(lineage, subject.id, subject.version);
      case 'bundleContent':
        return this.#bundleContent(call, violations, lineage, subject);
      case 'templateDraft':
        return this.#templateDraft(lineage, subject.id);
      case 'templateVersion':
        return this.#templateVersion(lineage, subject.id, subject.version);
      case 'templateContent': {
        const checked = await this.#drafts.template(call, 'template_content', subject.draft);
        violations.addAll(checked);
        return checked.value && template(checked.value);
      }
    }
  }

  async #bundleDraft(
    violations: Violations,
    lineage: readonly string[],
    id: string,
  ): Promise<PreviewedSubject | undefined> {
    const [tenant] = lineage as [string];
    const record = await this.#stores.bundles.find(tenant, id);
    if (record === undefined) throw new NotFound('bundle', `${tenant}/${id}`);
    const { type, draft } = parseBundleDocument(record.draft.text);
    return this.#bundle(violations, lineage, { field: 'draft', type, draft, refs: placedRefs(draft, 'draft') });
  }

  async #bundleContent(
    call: WorkCall,
    violations: Violations,
    lineage: readonly string[],
    subject: Extract<PreviewSubject, { kind: 'bundleContent' }>,
  ): Promise<PreviewedSubject | undefined> {
    const field = 'bundle_content.draft';
    const type = requireType(violations, subject.type, 'bundle_content.type');
    const checked = await this.#drafts.bundle(call, field, subject.draft);
    violations.addAll(checked);
    const refs = subject.draft ? placedRefs(subject.draft, field) : [];
    return this.#bundle(violations, lineage, { field, type, draft: checked.value, refs });
  }

  /** @param source without a type or a draft, which are violations already, the references are checked all the same */
  async #bundle(
    violations: Violations,
    lineage: readonly string[],
    source: {
      field: string;
      type: PromptType | undefined;
      draft: BundleDraft | undefined;
      refs: readonly PlacedRef[];
    },
  ): Promise<PreviewedSubject | undefined> {
    const { field, type, draft, refs } = source;
    const pinned = await pinTemplates(violations, this.#stores, lineage, refs);
    if (draft === undefined) return undefined;
    const templates = pinned.map((template) => template?.draft);
    const snapshot = buildSnapshot(violations, draft, templates, field);
    if (violations.size > 0) return undefined;
    const held = pinned.map((template) => template!);
    return {
      snapshot: snapshotDocument(snapshot),
      pins: held.map(({ pin }) => pin),
      missingType: held.some((template) => template.type === type) ? undefined : type,
    };
  }

  async #bundleVersion(lineage: readonly string[], id: string, version: string): Promise<PreviewedSubject> {
    const holder = nearest(lineage, await this.#stores.bundles.versionHashes(lineage, id, version));
    const record = holder && (await this.#stores.bundles.findVersion(holder.tenant, id, version));
    if (!record) throw new NotFound('bundle_version', `${lineage[0]}/${id}@${version}`);
    const { snapshot, pins } = record;
    return { snapshot, pins, missingType: (await this.#holdsOwnType(record)) ? undefined : record.type };
  }

  async #holdsOwnType({ type, pins }: BundleVersionRecord): Promise<boolean> {
    for (const { tenant, templateId, version } of pins) {
      const pinned = await this.#stores.templates.findVersion(tenant, templateId, version);
      if (pinned!.type === type) return true;
    }
    return false;
  }

  async #templateDraft(lineage: readonly string[], id: string): Promise<PreviewedSubject> {
    const [tenant] = lineage as [string];
    const record = await this.#stores.templates.find(tenant, id);
    if (record === undefined) throw new NotFound('template', `${tenant}/${id}`);
    return template(parseTemplateDocument(record.draft.text).draft);
  }

  async #templateVersion(lineage: readonly string[], id: string, version: string): Promise<PreviewedSubject> {
    const { templates } = this.#stores;
    const found = await Promise.all(lineage.map((holder) => templates.findVersion(holder, id, version)));
    const record = found.find((candidate) => candidate !== undefined);
    if (record === undefined) throw new NotFound('template_version', `${lineage[0]}/${id}@${version}`);
    return template(parseTemplateDocument(record.document.text).draft);
  }
}

function template(draft: TemplateDraft): PreviewedSubject {
  return { snapshot: snapshotDocument(templateSnapshot(draft)), pins: [], missingType: undefined };
}

function nearest<T extends { tenant: string }>(lineage: readonly string[], held: readonly T[]): T | undefined {
  return lineage.map((tenant) => held.find((item) => item.tenant === tenant)).find((item) => item !== undefined);
}
