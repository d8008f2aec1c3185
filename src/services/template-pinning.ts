import type { Violations } from '../domain/errors.ts';
import type { TemplateRef, UncheckedBundleDraft } from '../domain/bundle.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import { highestMatch } from '../domain/semver.ts';
import { parseTemplateDocument, type TemplateDraft } from '../domain/template.ts';
import type { Pin, Stores } from './stores.ts';

/** A template reference with its path in the draft. */
export interface PlacedRef extends TemplateRef {
  readonly field: string;
}

/**
 * The references of a draft with their paths: the personality first, then the template sections in order. References
 * without an id are left out; on a checked draft there are none.
 */
export function placedRefs(draft: UncheckedBundleDraft, field: string): PlacedRef[] {
  const refs: PlacedRef[] = [];
  if (draft.personality) refs.push({ ...draft.personality, field: `${field}.personality` });
  draft.sections.forEach((section, index) => {
    if (section && 'template' in section) {
      refs.push({ ...section.template, field: `${field}.sections[${index}].template.template` });
    }
  });
  return refs.filter((ref) => ref.templateId !== '');
}

/** A template version that a reference resolved to. */
export interface Pinned {
  readonly pin: Pin;
  readonly type: PromptType;
  readonly draft: TemplateDraft;
}

/**
 * Resolves every reference to the highest matching version of the nearest tenant that has one, like a lockfile; those
 * that resolve to nothing become violations.
 *
 * @param lineage the bundle's tenant and its ancestors, nearest first
 * @param refs undefined: one that is known to resolve to nothing
 * @returns what each resolved to
 */
export async function pinTemplates(
  violations: Violations,
  stores: Stores,
  lineage: readonly string[],
  refs: readonly (PlacedRef | undefined)[],
): Promise<(Pinned | undefined)[]> {
  const ids = new Set(refs.flatMap((ref) => (ref ? [ref.templateId] : [])));
  const published = await stores.templates.published(lineage, [...ids]);
  const pinned: (Pinned | undefined)[] = [];
  for (const ref of refs) {
    if (ref === undefined) {
      pinned.push(undefined);
      continue;
    }
    const { templateId, version: range, field } = ref;
    const pin = nearestMatch(lineage, published, templateId, range);
    if (pin === undefined) {
      const held = published.filter(({ id }) => id === templateId).flatMap(({ versions }) => versions);
      const known = held.length > 0 ? `published are ${held.join(', ')}` : 'publish the template first';
      violations.add(`${field}.version`, 'UNRESOLVED', `no version of template ${templateId} is in ${range}; ${known}`);
      pinned.push(undefined);
      continue;
    }
    const found = await stores.templates.findVersion(pin.tenant, pin.templateId, pin.version);
    pinned.push({ pin, ...parseTemplateDocument(found!.document.text) });
  }
  return pinned;
}

function nearestMatch(
  lineage: readonly string[],
  published: readonly { tenant: string; id: string; versions: string[] }[],
  templateId: string,
  range: string,
): Pin | undefined {
  for (const tenant of lineage) {
    const held = published.find((template) => template.tenant === tenant && template.id === templateId);
    const version = held && highestMatch(held.versions, range);
    if (version) return { tenant, templateId, version };
  }
  return undefined;
}
