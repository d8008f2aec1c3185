/** Snapshots: all that a render needs besides its inputs; what bundle_hash covers (spec section 3, "Hashes"). */
import { type BundleDraft, templateRefs } from './bundle.ts';
import { type Constraint, constraintsJson, parseConstraints } from './constraint.ts';
import { deepFreeze } from './deep-freeze.ts';
import { documentOf, type Document } from './document.ts';
import type { Violations } from './errors.ts';
import type { JsonObject } from './json.ts';
import { MAX_BUNDLE_LIQUID_NODES, MAX_BUNDLE_LIQUID_UNITS, MAX_VARIABLES } from './limits.ts';
import { liquidNodes, liquidUnits } from './liquid-syntax.ts';
import { parseJson } from './parse-json.ts';
import type { Role } from './prompt-type.ts';
import { effectiveDeclarations, type TemplateDraft } from './template.ts';
import { checkUntrustedUse, type TemplateSyntax } from './template-content.ts';
import { checkDefaults, checkPatterns, mergeDeclarations, variableRules } from './variable-declaration.ts';
import type { SnapshotVariables, VariableRules } from './variable-rules.ts';

/** A template's content as it is rendered. */
export type SnapshotTemplate = { readonly syntax: TemplateSyntax; readonly content: string };

export type SnapshotSection = (SnapshotTemplate & { readonly role: Role }) | { readonly placeholder: string };

/** The content of a bundle version: no ids, versions, times or descriptions. Deep-frozen. */
export interface Snapshot {
  readonly personality: SnapshotTemplate | undefined;
  readonly sections: readonly SnapshotSection[];
  readonly variables: SnapshotVariables;
  /** By id. */
  readonly constraints: readonly Constraint[];
  readonly modelConfig: JsonObject | undefined;
}

/** Stands in for a template that is not there, so that the rest can be checked. */
const UNRESOLVED: SnapshotTemplate = { syntax: 'LITERAL', content: '' };

function snapshotTemplate({ syntax, content }: TemplateDraft): SnapshotTemplate {
  return { syntax, content };
}

/** Paths of templateRefs(draft), in its order. */
function refFields(field: string, draft: BundleDraft): string[] {
  const sections = draft.sections.flatMap((section, index) =>
    'template' in section ? [`${field}.sections[${index}].template.template`] : [],
  );
  return draft.personality === undefined ? sections : [`${field}.personality`, ...sections];
}

/**
 * Builds the snapshot of a normalized draft. Declarations that conflict, more than 128 variables, defaults, patterns
 * and LIQUID templates that are too much together are violations; then the snapshot is of no use.
 * @param templates the templates that templateRefs(draft) stands for, in its order; where one is undefined, which is a
 *   violation already, the others are checked together all the same
 * @param field path of the draft in the request
 */
export function buildSnapshot(
  violations: Violations,
  draft: BundleDraft,
  templates: readonly (TemplateDraft | undefined)[],
  field = 'draft',
): Snapshot {
  const fields = refFields(field, draft);
  const readable = readableTemplates(violations, `${field}.sections`, templates);
  const sources = templateRefs(draft).flatMap(({ templateId }, index) => {
    const template = templates[index]?.variables.length ? templates[index] : readable[index];
    return template ? [{ field: fields[index]!, templateId, declarations: effectiveDeclarations(template) }] : [];
  });
  const variables = mergeDeclarations(violations, sources);
  const declared = Object.entries(variables);
  checkDefaults(violations, `${field}.sections`, declared);
  checkPatterns(violations, `${field}.sections`, declared);
  const count = declared.length;
  if (count > MAX_VARIABLES) {
    const description = `the templates of a bundle may read at most ${MAX_VARIABLES} variables together, not ${count}`;
    violations.add(`${field}.sections`, 'TOO_MANY', description);
  }
  const untrusted = new Map(
    sources.flatMap(({ templateId, declarations }) =>
      declarations.flatMap(({ name, untrusted }) => (untrusted ? [[name, templateId] as const] : [])),
    ),
  );
  readable.forEach((template, index) => {
    if (template) checkUntrustedUse(violations, fields[index]!, template, untrusted);
  });
  const contents = templates.map((template) => (template ? snapshotTemplate(template) : UNRESOLVED));
  const personality = draft.personality && contents.shift();
  const sections = draft.sections.map((section) =>
    'template' in section ? { role: section.role, ...(contents.shift() as SnapshotTemplate) } : section,
  );
  const { constraints, modelConfig } = draft;
  return frozenCopy({ personality, sections, variables, constraints, modelConfig });
}

/**
 * Checks that the LIQUID templates of a bundle are not too much together.
 * @returns the templates, undefined for those that are not to be read: the first ones are read all the same
 */
function readableTemplates(
  violations: Violations,
  field: string,
  templates: readonly (TemplateDraft | undefined)[],
): (TemplateDraft | undefined)[] {
  let [nodes, units] = [0, 0];
  const readable = templates.map((template) => {
    if (template?.syntax !== 'LIQUID') return template;
    nodes += liquidNodes(template.content);
    units += liquidUnits(template.content);
    return nodes <= MAX_BUNDLE_LIQUID_NODES && units <= MAX_BUNDLE_LIQUID_UNITS ? template : undefined;
  });
  const check = (sum: number, most: number, what: string): void => {
    if (sum <= most) return;
    const description = `the LIQUID templates of a bundle have at most ${most} ${what} together, not ${sum}`;
    violations.add(field, 'TOO_COMPLEX', description);
  };
  check(nodes, MAX_BUNDLE_LIQUID_NODES, 'tags and outputs');
  check(units, MAX_BUNDLE_LIQUID_UNITS, 'UTF-16 code units in tags and outputs');
  return readable;
}

/** A template as the only SYSTEM section of a bundle. */
export function templateSnapshot(draft: TemplateDraft): Snapshot {
  const rules = effectiveDeclarations(draft).map((each): [string, VariableRules] => [each.name, variableRules(each)]);
  return frozenCopy({
    personality: undefined,
    sections: [{ role: 'SYSTEM', ...snapshotTemplate(draft) }],
    variables: Object.fromEntries(rules),
    constraints: [],
    modelConfig: undefined,
  });
}

function frozenCopy(snapshot: Snapshot): Snapshot {
  return parseSnapshot(snapshotDocument(snapshot).text);
}

type StoredSnapshot = {
  readonly personality?: SnapshotTemplate;
  readonly sections: readonly SnapshotSection[];
  readonly variables?: SnapshotVariables;
  readonly constraints?: readonly JsonObject[];
  readonly model_config?: JsonObject;
};

/** The document whose hash is bundle_hash: absent members left out, an empty list of sections written. */
export function snapshotDocument(snapshot: Snapshot): Document {
  const stored: StoredSnapshot = {
    ...(snapshot.personality && { personality: snapshot.personality }),
    sections: snapshot.sections,
    ...(Object.keys(snapshot.variables).length > 0 && { variables: snapshot.variables }),
    ...(snapshot.constraints.length > 0 && { constraints: constraintsJson(snapshot.constraints) }),
    ...(snapshot.modelConfig && { model_config: snapshot.modelConfig }),
  };
  return documentOf(stored);
}

/** The snapshot that snapshotDocument was given. */
export function parseSnapshot(text: string): Snapshot {
  const stored = parseJson(text) as StoredSnapshot;
  return deepFreeze({
    personality: stored.personality,
    sections: stored.sections,
    variables: stored.variables ?? {},
    constraints: parseConstraints(stored.constraints ?? []),
    modelConfig: stored.model_config,
  });
}

/** Hash of {syntax, content}; empty without a personality. */
export function personalityHash(snapshot: Snapshot): string {
  return snapshot.personality === undefined ? '' : documentOf(snapshot.personality).hash;
}

/** Hash of the list of constraints, `[]` if there are none. */
export function constraintsHash(snapshot: Snapshot): string {
  return documentOf(constraintsJson(snapshot.constraints)).hash;
}
