import type { BundleDraft, UncheckedBundleDraft } from '../../src/domain/bundle.ts';
import { normalizeBundleDraft, templateRefs } from '../../src/domain/bundle.ts';
import { compileBundle, type CompiledBundle } from '../../src/domain/assembly.ts';
import { buildSnapshot, type Snapshot, snapshotDocument } from '../../src/domain/snapshot.ts';
import { normalizeTemplateDraft, type TemplateDraft, type UncheckedTemplateDraft } from '../../src/domain/template.ts';
import type { UncheckedDeclaration } from '../../src/domain/variable-declaration.ts';
import { accepted } from './violations.ts';

/** An optional STRING named `name`, unless told otherwise. */
export function declaration(given: Partial<UncheckedDeclaration> = {}): UncheckedDeclaration {
  return {
    name: 'name',
    type: 'STRING',
    required: false,
    description: '',
    maxLength: 0,
    pattern: '',
    enumValues: [],
    untrusted: false,
    ...given,
  };
}

/** A FORMAT draft without declarations, unless told otherwise. */
export function templateDraft(given: Partial<UncheckedTemplateDraft> = {}): UncheckedTemplateDraft {
  return {
    syntax: 'FORMAT',
    content: 'Hello',
    variables: [],
    description: '',
    allowLiteralBraces: false,
    ...given,
  };
}

/** A bundle of one SYSTEM section, unless told otherwise. */
export function bundleDraft(given: Partial<UncheckedBundleDraft> = {}): UncheckedBundleDraft {
  return {
    personality: undefined,
    sections: [{ template: { templateId: 'hello', version: '^1.0' }, role: 'SYSTEM' }],
    constraints: [],
    modelConfig: undefined,
    description: '',
    ...given,
  };
}

/** A normalized template; throws if it is refused. */
export function template(given: Partial<UncheckedTemplateDraft> = {}): TemplateDraft {
  return accepted((violations) => normalizeTemplateDraft(violations, 'draft', templateDraft(given)));
}

/** A normalized bundle; throws if it is refused. */
export function bundle(given: Partial<UncheckedBundleDraft> = {}): BundleDraft {
  return accepted((violations) => normalizeBundleDraft(violations, 'draft', bundleDraft(given)));
}

/** A snapshot of templates by id; throws if it is refused. */
export function snapshot(
  given: Partial<UncheckedBundleDraft>,
  templates: Readonly<Record<string, Partial<UncheckedTemplateDraft>>>,
): Snapshot {
  const draft = bundle(given);
  const drafts = templateRefs(draft).map(({ templateId }) => template(templates[templateId]));
  return accepted((violations) => buildSnapshot(violations, draft, drafts));
}

/** A compiled bundle of templates by id; throws if it is refused. */
export function compiled(
  given: Partial<UncheckedBundleDraft>,
  templates: Readonly<Record<string, Partial<UncheckedTemplateDraft>>>,
): CompiledBundle {
  return compileBundle(snapshotDocument(snapshot(given, templates)));
}
