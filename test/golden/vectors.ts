import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import {
  compileBundle,
  type Message,
  placeholdersHash,
  RENDERER_VERSION,
  rendererOf,
  variablesHash,
} from '../../src/domain/assembly.ts';
import { normalizeBundleDraft, type TemplateRef, type UncheckedSection } from '../../src/domain/bundle.ts';
import { type ConstraintRule, RULE_KINDS, type Severity } from '../../src/domain/constraint.ts';
import { canonicalJson, sha256 } from '../../src/domain/document.ts';
import { DomainError, InvalidInput, type Violation, Violations } from '../../src/domain/errors.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { Role } from '../../src/domain/prompt-type.ts';
import { RouteMap } from '../../src/domain/route-map.ts';
import { buildSnapshot, snapshotDocument } from '../../src/domain/snapshot.ts';
import { normalizeTemplateDraft, type TemplateDraft } from '../../src/domain/template.ts';
import type { TemplateSyntax } from '../../src/domain/template-content.ts';
import { ROOT_TENANT, tenantDocument } from '../../src/domain/tenant.ts';
import type { VariableType } from '../../src/domain/variable-rules.ts';
import { checkSentValues, variableViolations } from '../../src/domain/variables.ts';

/** Text in a file; long ones are written as pieces that are joined. */
type Text = string | readonly (string | { readonly repeat: string; readonly times: number })[];

export interface TemplateVector {
  readonly syntax?: TemplateSyntax;
  readonly content: Text;
  readonly description?: string;
  readonly allow_literal_braces?: boolean;
  readonly variables?: readonly {
    readonly name: string;
    readonly type: VariableType;
    readonly required?: boolean;
    readonly default?: Json;
    readonly description?: string;
    readonly max_length?: number;
    readonly pattern?: string;
    readonly enum_values?: readonly string[];
    readonly untrusted?: boolean;
  }[];
}

/** What a vector says a render has to come to, and what a render comes to. */
export interface Outcome {
  readonly text: string;
  readonly messages: readonly Message[];
  /** Indexes of the sections that were dropped. */
  readonly empty_sections: readonly number[];
  /** The canonical JSON of the merged values, which variables_hash covers. */
  readonly values: string;
  /** The canonical JSON that bundle_hash covers. */
  readonly snapshot: string;
  readonly hashes: {
    readonly bundle_hash: string;
    readonly personality_hash: string;
    readonly constraints_hash: string;
    readonly variables_hash: string;
    readonly placeholders_hash: string;
    /** By renderer_version. */
    readonly messages_hash: Readonly<Record<string, string>>;
    readonly rendered_hash: string;
  };
}

/** What a vector says is refused, in the order in which it is told. */
export interface Refusal {
  /** The DomainError's name. */
  readonly error: string;
  readonly violations?: readonly {
    /** A template's own begins with `template`, whatever part of the bundle it is. */
    readonly field: string;
    readonly reason: string;
    /** How the description begins, as `line 1, column 3`. */
    readonly at?: string;
    /** What the description says among other things. */
    readonly says?: string;
  }[];
}

/** A golden case as it stands in a file; templates stand where bundles name them. */
export interface Vector<Expected = Outcome> {
  readonly title: string;
  /** What would break unnoticed without it, and the rule or document that it shows. */
  readonly reason: string;
  readonly bundle: {
    readonly personality?: TemplateVector;
    readonly sections: readonly ((TemplateVector & { readonly role: Role }) | { readonly placeholder: string })[];
    readonly constraints?: readonly JsonObject[];
    readonly model_config?: JsonObject;
  };
  readonly tenant_variables?: JsonObject;
  /** Instead of tenant_variables: those of the root, of its child and so on; the last one renders. */
  readonly tenants?: readonly JsonObject[];
  readonly variables?: JsonObject;
  readonly placeholders?: Readonly<Record<string, readonly Message[]>>;
  readonly expect: Expected;
}

function read<Expected>(path: string): ReadonlyMap<string, Vector<Expected>> {
  const folder = new URL(path, import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  return new Map(
    files.toSorted().map((file) => [file, parse(readFileSync(new URL(file, folder), 'utf8')) as Vector<Expected>]),
  );
}

/** The vectors by file name. */
export function readVectors(): ReadonlyMap<string, Vector> {
  return read('./');
}

/** The vectors of what is refused, by file name. */
export function readRefused(): ReadonlyMap<string, Vector<Refusal>> {
  return read('./refused/');
}

/** The templates of a vector, in the order of its parts. */
export function templatesOf({ bundle: { personality, sections } }: Vector<unknown>): TemplateVector[] {
  const inSections = sections.flatMap((section) => ('placeholder' in section ? [] : [section]));
  return personality === undefined ? inSections : [personality, ...inSections];
}

export function textOf(text: Text): string {
  if (typeof text === 'string') return text;
  return text.map((piece) => (typeof piece === 'string' ? piece : piece.repeat.repeat(piece.times))).join('');
}

function template(violations: Violations, vector: TemplateVector): TemplateDraft {
  return normalizeTemplateDraft(violations, 'template', {
    syntax: vector.syntax ?? 'FORMAT',
    content: textOf(vector.content),
    description: vector.description ?? '',
    allowLiteralBraces: vector.allow_literal_braces ?? false,
    variables: (vector.variables ?? []).map((given) => ({
      name: given.name,
      type: given.type,
      required: given.required ?? false,
      ...(given.default !== undefined && { default: given.default }),
      description: given.description ?? '',
      maxLength: given.max_length ?? 0,
      pattern: given.pattern ?? '',
      enumValues: given.enum_values ?? [],
      untrusted: given.untrusted ?? false,
    })),
  });
}

function rule(given: JsonObject): ConstraintRule | undefined {
  const kind = RULE_KINDS.find((candidate) => candidate in given);
  return kind && ({ kind, value: given[kind] } as ConstraintRule);
}

/** What the tree of tenants gives to the last of them. */
function inherited(tenants: readonly JsonObject[]): JsonObject {
  const names = tenants.map((_, index) => (index === 0 ? ROOT_TENANT : `tenant-${index}`));
  const documents = tenants.map((variables, index) => ({
    tenant: names[index]!,
    document: tenantDocument({ parent: names[index - 1] ?? '', displayName: '', variables, capturePolicy: 'VARIABLES' })
      .text,
  }));
  const map = new RouteMap({ seq: 1, chainHash: '', tenants: documents, bundles: [], channels: [], activations: [] });
  return map.scope(names.at(-1)!).variables;
}

/**
 * Renders a vector as a server would: normalize, build the snapshot, compile its document, resolve, assemble.
 * @throws DomainError
 */
export function renderVector(vector: Vector<unknown>): Outcome {
  const violations = new Violations();
  const reference: TemplateRef = { templateId: 'inline', version: '1.0.0' };
  const { personality, sections, constraints = [], model_config: modelConfig } = vector.bundle;
  const draft = normalizeBundleDraft(violations, 'draft', {
    personality: personality && reference,
    sections: sections.map((section): UncheckedSection =>
      'placeholder' in section ? section : { template: reference, role: section.role },
    ),
    constraints: constraints.map((given) => ({
      id: given['id'] as string,
      severity: given['severity'] as Severity,
      instruction: (given['instruction'] ?? '') as string,
      rule: rule(given),
    })),
    modelConfig,
    description: vector.title,
  });
  const templates = templatesOf(vector).map((each) => template(violations, each));
  violations.throwIfAny();
  const document = snapshotDocument(buildSnapshot(violations, draft, templates));
  const sent = vector.variables ?? {};
  checkSentValues(violations, 'variables', sent);
  violations.throwIfAny();

  const bundle = compileBundle(document);
  const tenantValues = vector.tenants === undefined ? (vector.tenant_variables ?? {}) : inherited(vector.tenants);
  const resolved = bundle.variables.resolve(tenantValues, sent);
  const problems = variableViolations(resolved);
  if (problems.length > 0) throw new InvalidInput(problems);
  const supplied = new Map(Object.entries(vector.placeholders ?? {}));
  const placeholders = new Map([...supplied].filter(([name]) => bundle.placeholders.includes(name)));
  const rendered = bundle.assemble(resolved, placeholders);
  const { messages, text, emptySections } = rendered;
  const versions = Array.from({ length: RENDERER_VERSION }, (_, index) => index + 1);
  return {
    text,
    messages,
    empty_sections: emptySections,
    values: canonicalJson(resolved.values),
    snapshot: document.text,
    hashes: {
      bundle_hash: bundle.bundleHash,
      personality_hash: bundle.personalityHash,
      constraints_hash: bundle.constraintsHash,
      variables_hash: variablesHash(resolved.values),
      placeholders_hash: placeholdersHash(placeholders),
      messages_hash: Object.fromEntries(
        versions.map((version) => [version, rendererOf(version)!.hashesOf(rendered).messagesHash]),
      ),
      rendered_hash: sha256(text),
    },
  };
}

/** Why a vector cannot be rendered. */
export function refusalOf(vector: Vector<unknown>): { error: string; violations: readonly Violation[] } {
  try {
    renderVector(vector);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { error: error.name, violations: error instanceof InvalidInput ? error.violations : [] };
  }
  throw new Error('it was rendered');
}
