/** Bundle drafts: what is rendered, naming its templates by version or range (spec section 3). */
import {
  type Constraint,
  constraintsJson,
  normalizeConstraints,
  parseConstraints,
  type UncheckedConstraint,
} from './constraint.ts';
import { documentOf, type Document } from './document.ts';
import { checkName } from './enumeration.ts';
import type { Violations } from './errors.ts';
import { checkId, checkVariableName } from './identifier.ts';
import { boundedJson } from './json-bounds.ts';
import type { JsonObject } from './json.ts';
import { MAX_MODEL_CONFIG_BYTES, MAX_SECTIONS } from './limits.ts';
import { parseJson } from './parse-json.ts';
import { type PromptType, type Role, ROLES } from './prompt-type.ts';
import { checkVersionRange } from './semver.ts';
import { checkDescription, excerpt } from './text.ts';

/** A template by name: an exact version or a range. */
export interface TemplateRef {
  readonly templateId: string;
  readonly version: string;
}

/** A part of a bundle: a template with the role that speaks it, or a name under which the caller sends messages. */
export type Section = { readonly template: TemplateRef; readonly role: Role } | { readonly placeholder: string };

/** The mutable content of a bundle. */
export interface BundleDraft {
  readonly personality: TemplateRef | undefined;
  readonly sections: readonly Section[];
  /** By id. */
  readonly constraints: readonly Constraint[];
  readonly modelConfig: JsonObject | undefined;
  readonly description: string;
}

/** A section as it comes in: undefined if it is nothing at all; an empty role was left out or is not known. */
export type UncheckedSection =
  | { readonly template: TemplateRef; readonly role: Role | '' }
  | { readonly placeholder: string }
  | undefined;

/** A draft as it comes in. */
export interface UncheckedBundleDraft extends Omit<BundleDraft, 'sections' | 'constraints'> {
  readonly sections: readonly UncheckedSection[];
  readonly constraints: readonly UncheckedConstraint[];
}

function checkTemplateRef(violations: Violations, field: string, { templateId, version }: TemplateRef): void {
  checkId(violations, `${field}.template_id`, templateId);
  checkVersionRange(violations, `${field}.version`, version);
}

function normalizeSections(violations: Violations, field: string, list: readonly UncheckedSection[]): Section[] {
  if (list.length > MAX_SECTIONS) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_SECTIONS} sections are allowed, not ${list.length}`);
  }
  const placeholders = new Set<string>();
  const sections: Section[] = [];
  list.slice(0, MAX_SECTIONS).forEach((section, index) => {
    const path = `${field}[${index}]`;
    if (section === undefined) {
      violations.add(path, 'REQUIRED', 'must be a template with a role, or a placeholder');
    } else if ('template' in section) {
      const { template, role } = section;
      checkTemplateRef(violations, `${path}.template.template`, template);
      if (checkName(violations, `${path}.template.role`, ROLES, role)) sections.push({ template, role });
    } else {
      const { placeholder } = section;
      checkVariableName(violations, `${path}.placeholder`, placeholder);
      if (placeholders.has(placeholder)) {
        const description = `the placeholder ${excerpt(placeholder)} stands before; a bundle names each once`;
        violations.add(`${path}.placeholder`, 'DUPLICATE', description);
      }
      placeholders.add(placeholder);
      sections.push({ placeholder });
    }
  });
  return sections;
}

/** Empty settings are none. */
function normalizeModelConfig(
  violations: Violations,
  field: string,
  raw: JsonObject | undefined,
): JsonObject | undefined {
  if (raw === undefined || Object.keys(raw).length === 0) return undefined;
  return boundedJson(violations, field, raw, MAX_MODEL_CONFIG_BYTES);
}

/**
 * Checks the shape and the constraints of a draft and gives it the form in which it is stored. Idempotent. Whether its
 * templates exist is not checked. What comes back is of use only if no violation was added.
 * @param field path of the draft in the request, as `draft`
 */
export function normalizeBundleDraft(violations: Violations, field: string, draft: UncheckedBundleDraft): BundleDraft {
  if (draft.personality !== undefined) checkTemplateRef(violations, `${field}.personality`, draft.personality);
  const sections = normalizeSections(violations, `${field}.sections`, draft.sections);
  if (draft.personality === undefined && draft.sections.every((section) => section && 'placeholder' in section)) {
    const description = 'a bundle needs a personality or at least one template section';
    violations.add(`${field}.sections`, 'REQUIRED', description);
  }
  return {
    personality: draft.personality,
    sections,
    constraints: normalizeConstraints(violations, `${field}.constraints`, draft.constraints),
    modelConfig: normalizeModelConfig(violations, `${field}.model_config`, draft.modelConfig),
    description: checkDescription(violations, `${field}.description`, draft.description),
  };
}

type StoredRef = { readonly template_id: string; readonly version: string };

type StoredBundle = {
  readonly type: PromptType;
  readonly personality?: StoredRef;
  readonly sections: readonly ((StoredRef & { readonly role: Role }) | { readonly placeholder: string })[];
  readonly constraints?: readonly JsonObject[];
  readonly model_config?: JsonObject;
  readonly description?: string;
};

function storedRef({ templateId, version }: TemplateRef): StoredRef {
  return { template_id: templateId, version };
}

function parseRef({ template_id: templateId, version }: StoredRef): TemplateRef {
  return { templateId, version };
}

/** The document of a normalized draft. Members that say nothing are left out: equal drafts have equal hashes. */
export function bundleDocument(type: PromptType, draft: BundleDraft): Document {
  const stored: StoredBundle = {
    type,
    ...(draft.personality && { personality: storedRef(draft.personality) }),
    sections: draft.sections.map((section) =>
      'template' in section ? { ...storedRef(section.template), role: section.role } : section,
    ),
    ...(draft.constraints.length > 0 && { constraints: constraintsJson(draft.constraints) }),
    ...(draft.modelConfig && { model_config: draft.modelConfig }),
    ...(draft.description !== '' && { description: draft.description }),
  };
  return documentOf(stored);
}

/** The draft that bundleDocument was given. */
export function parseBundleDocument(text: string): { type: PromptType; draft: BundleDraft } {
  const stored = parseJson(text) as StoredBundle;
  return {
    type: stored.type,
    draft: {
      personality: stored.personality && parseRef(stored.personality),
      sections: stored.sections.map((section) =>
        'placeholder' in section ? section : { template: parseRef(section), role: section.role },
      ),
      constraints: parseConstraints(stored.constraints ?? []),
      modelConfig: stored.model_config,
      description: stored.description ?? '',
    },
  };
}

/** The templates that a draft names: the personality first if there is one, then the template sections in order. */
export function templateRefs(draft: BundleDraft): TemplateRef[] {
  const sections = draft.sections.flatMap((section) => ('template' in section ? [section.template] : []));
  return draft.personality === undefined ? sections : [draft.personality, ...sections];
}
