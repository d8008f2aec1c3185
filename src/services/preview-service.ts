import {
  compileBundle,
  messagesHash,
  placeholdersHash,
  renderedHash,
  variablesHash,
  type CompiledBundle,
  type Message,
} from '../domain/assembly.ts';
import {
  normalizeBundleDraft,
  parseBundleDocument,
  type BundleDraft,
  type UncheckedBundleDraft,
} from '../domain/bundle.ts';
import { NotFound, Violations } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import type { RouteMap } from '../domain/route-map.ts';
import { buildSnapshot, snapshotDocument, templateSnapshot, type Snapshot } from '../domain/snapshot.ts';
import {
  normalizeTemplateDraft,
  parseTemplateDocument,
  readVariables,
  type TemplateDraft,
  type UncheckedTemplateDraft,
} from '../domain/template.ts';
import { characters, words } from '../domain/text.ts';
import { checkValues, variableViolations } from '../domain/variables.ts';
import { checkInputs } from './render-input.ts';
import type { Pin, Stores } from './stores.ts';
import { pinTemplates, placedRefs, type PlacedRef } from './template-pinning.ts';
import type { Warning } from './warning.ts';
import { requireType } from './write-checks.ts';

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

export interface PreviewInput {
  readonly tenant: string;
  readonly subject: PreviewSubject | undefined;
  readonly variables: JsonObject;
  readonly placeholders: ReadonlyMap<string, readonly Message[]>;
  /** Stand in for the brand variables of the same name. */
  readonly tenantVariables: JsonObject;
}

export interface PreviewResult {
  readonly text: string;
  readonly messages: readonly Message[];
  readonly renderable: boolean;
  readonly renderedHash: string;
  readonly bundleHash: string;
  readonly personalityHash: string;
  readonly constraintsHash: string;
  readonly variablesHash: string;
  readonly placeholdersHash: string;
  readonly messagesHash: string;
  readonly missingVariables: readonly string[];
  readonly unusedVariables: readonly string[];
  readonly invalidVariables: readonly { name: string; message: string }[];
  readonly warnings: readonly Warning[];
  readonly characters: number;
  readonly words: number;
  readonly pins: readonly Pin[];
}

/** Shows what a draft, a version or unsaved content would render to; leaves no trace (spec section 3). */
export class PreviewService {
  readonly #stores: Stores;
  readonly #routes: { readonly map: RouteMap };

  constructor(stores: Stores, routes: { readonly map: RouteMap }) {
    this.#stores = stores;
    this.#routes = routes;
  }

  /** Missing and ill-typed values are reported, not thrown. @throws InvalidInput, NotFound, RenderedTooLarge */
  async preview(input: PreviewInput): Promise<PreviewResult> {
    const violations = new Violations();
    if (input.subject === undefined) violations.add('subject', 'REQUIRED', 'name what to preview');
    checkInputs(violations, input.variables, input.placeholders);
    checkValues(violations, 'tenant_variables', input.tenantVariables);
    const lineage = await this.#stores.tenants.lineage(input.tenant);
    if (lineage.length === 0) throw new NotFound('tenant', input.tenant);
    const { bundle, pins } = await this.#subject(violations, lineage, input.subject);
    violations.throwIfAny();

    const { snapshot } = bundle!;
    const brand = { ...this.#routes.map.scope(input.tenant).variables, ...input.tenantVariables };
    const values = bundle!.variables.resolve(brand, input.variables);
    const renderable = variableViolations(values).length === 0;
    const texts = new Map(values.texts);
    const unusable = [...values.missing, ...values.invalid.map((problem) => problem.name)];
    for (const name of unusable) texts.set(name, `{${name}}`);
    const placeholders = new Map(
      [...input.placeholders].filter(([name, sent]) => sent.length > 0 && bundle!.placeholders.includes(name)),
    );
    const { text, messages, emptySections } = bundle!.assemble(texts, placeholders);
    return {
      text,
      messages,
      renderable,
      renderedHash: renderable ? renderedHash(text) : '',
      bundleHash: bundle!.bundleHash,
      personalityHash: bundle!.personalityHash,
      constraintsHash: bundle!.constraintsHash,
      variablesHash: renderable ? variablesHash(values.values) : '',
      placeholdersHash: placeholdersHash(placeholders),
      messagesHash: renderable ? messagesHash(messages) : '',
      missingVariables: values.missing,
      unusedVariables: [...unusedIn(snapshot), ...values.undeclared].toSorted(),
      invalidVariables: [
        ...(values.tooLarge === undefined ? [] : [{ name: '', message: values.tooLarge }]),
        ...values.invalid,
      ],
      warnings: [...emptySections.map(sectionEmpty), ...unknownPlaceholders(input.placeholders, bundle!)],
      characters: characters(text),
      words: words(text),
      pins,
    };
  }

  async #subject(
    violations: Violations,
    lineage: readonly string[],
    subject: PreviewSubject | undefined,
  ): Promise<{ bundle: CompiledBundle | undefined; pins: readonly Pin[] }> {
    const [tenant] = lineage as [string];
    switch (subject?.kind) {
      case undefined:
        return { bundle: undefined, pins: [] };
      case 'bundleDraft': {
        const record = await this.#stores.bundles.find(tenant, subject.id);
        if (record === undefined) throw new NotFound('bundle', `${tenant}/${subject.id}`);
        const { draft } = parseBundleDocument(record.draft.text);
        return this.#draft(violations, lineage, 'draft', draft, placedRefs(draft, 'draft'));
      }
      case 'bundleContent': {
        requireType(violations, subject.type, 'bundle_content.type');
        if (subject.draft === undefined) {
          violations.add('bundle_content.draft', 'REQUIRED', 'the draft is required');
          return { bundle: undefined, pins: [] };
        }
        const field = 'bundle_content.draft';
        const draft = normalizeBundleDraft(violations, field, subject.draft);
        return this.#draft(violations, lineage, field, draft, placedRefs(subject.draft, field));
      }
      case 'bundleVersion': {
        const { id, version } = subject;
        const holder = nearest(lineage, await this.#stores.bundles.versionHashes(lineage, id, version));
        const record = holder && (await this.#stores.bundles.findVersion(holder.tenant, id, version));
        if (!record) throw new NotFound('bundle_version', `${tenant}/${id}@${version}`);
        return { bundle: compileBundle(record.snapshot), pins: record.pins };
      }
      case 'templateDraft': {
        const record = await this.#stores.templates.find(tenant, subject.id);
        if (record === undefined) throw new NotFound('template', `${tenant}/${subject.id}`);
        return template(parseTemplateDocument(record.draft.text).draft);
      }
      case 'templateVersion': {
        const { id, version } = subject;
        const { templates } = this.#stores;
        const found = await Promise.all(lineage.map((holder) => templates.findVersion(holder, id, version)));
        const record = found.find((candidate) => candidate !== undefined);
        if (record === undefined) throw new NotFound('template_version', `${tenant}/${id}@${version}`);
        return template(parseTemplateDocument(record.document.text).draft);
      }
      case 'templateContent': {
        const draft = normalizeTemplateDraft(violations, 'template_content', subject.draft);
        return violations.size > 0 ? { bundle: undefined, pins: [] } : template(draft);
      }
    }
  }

  async #draft(
    violations: Violations,
    lineage: readonly string[],
    field: string,
    draft: BundleDraft,
    refs: readonly PlacedRef[],
  ): Promise<{ bundle: CompiledBundle | undefined; pins: readonly Pin[] }> {
    const sound = violations.size === 0;
    const pinned = await pinTemplates(violations, this.#stores, lineage, refs);
    // Sections that are not sound are missing from the draft, and its references are no longer those that were sent.
    if (!sound) return { bundle: undefined, pins: [] };
    const templates = pinned.map((template) => template?.draft);
    const snapshot = buildSnapshot(violations, draft, templates, field);
    if (violations.size > 0) return { bundle: undefined, pins: [] };
    return { bundle: compileBundle(snapshotDocument(snapshot)), pins: pinned.map((template) => template!.pin) };
  }
}

function template(draft: TemplateDraft): { bundle: CompiledBundle; pins: readonly Pin[] } {
  return { bundle: compileBundle(snapshotDocument(templateSnapshot(draft))), pins: [] };
}

function nearest<T extends { tenant: string }>(lineage: readonly string[], held: readonly T[]): T | undefined {
  return lineage.map((tenant) => held.find((item) => item.tenant === tenant)).find((item) => item !== undefined);
}

/** Declared variables that no part of the snapshot reads. */
function unusedIn(snapshot: Snapshot): string[] {
  const parts = [snapshot.personality, ...snapshot.sections];
  const read = parts.flatMap((part) => (part && 'content' in part ? readVariables(part.syntax, part.content) : []));
  const used = new Set(read);
  return Object.keys(snapshot.variables).filter((name) => !used.has(name));
}

function sectionEmpty(index: number): Warning {
  const subject = `sections[${index}]`;
  return { code: 'SECTION_EMPTY', subject, message: `${subject} renders to nothing and is dropped` };
}

function unknownPlaceholders(sent: ReadonlyMap<string, readonly Message[]>, bundle: CompiledBundle): Warning[] {
  return [...sent.keys()]
    .filter((name) => !bundle.placeholders.includes(name))
    .map((name) => {
      const message = `the prompt has no placeholder ${name}; its messages were ignored`;
      return { code: 'PLACEHOLDER_UNKNOWN', subject: name, message };
    });
}
