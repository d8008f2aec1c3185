import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import {
  compileBundle,
  type Message,
  messagesHash,
  placeholdersHash,
  renderedHash,
  variablesHash,
} from '../../src/domain/assembly.ts';
import { normalizeBundleDraft, type TemplateRef, type UncheckedSection } from '../../src/domain/bundle.ts';
import { type ConstraintRule, RULE_KINDS, type Severity } from '../../src/domain/constraint.ts';
import { canonicalJson } from '../../src/domain/document.ts';
import { InvalidInput, Violations } from '../../src/domain/errors.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { Role } from '../../src/domain/prompt-type.ts';
import { buildSnapshot, snapshotDocument } from '../../src/domain/snapshot.ts';
import { normalizeTemplateDraft, type TemplateDraft, type TemplateSyntax } from '../../src/domain/template.ts';
import type { VariableType } from '../../src/domain/variable-rules.ts';
import { variableViolations } from '../../src/domain/variables.ts';

interface TemplateVector {
  readonly syntax?: TemplateSyntax;
  readonly content: string;
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
    readonly messages_hash: string;
    readonly rendered_hash: string;
  };
}

/** A golden case as it stands in a file; templates stand where bundles name them. */
export interface Vector {
  readonly title: string;
  /** What would break unnoticed without it. */
  readonly reason: string;
  readonly bundle: {
    readonly personality?: TemplateVector;
    readonly sections: readonly ((TemplateVector & { readonly role: Role }) | { readonly placeholder: string })[];
    readonly constraints?: readonly JsonObject[];
    readonly model_config?: JsonObject;
  };
  readonly tenant_variables?: JsonObject;
  readonly variables?: JsonObject;
  readonly placeholders?: Readonly<Record<string, readonly Message[]>>;
  readonly expect: Outcome;
}

/** The vectors by file name. */
export function readVectors(): ReadonlyMap<string, Vector> {
  const folder = new URL('.', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  return new Map(files.toSorted().map((file) => [file, parse(readFileSync(new URL(file, folder), 'utf8')) as Vector]));
}

function template(violations: Violations, vector: TemplateVector): TemplateDraft {
  return normalizeTemplateDraft(violations, 'template', {
    syntax: vector.syntax ?? 'FORMAT',
    content: vector.content,
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
    })),
  });
}

function rule(given: JsonObject): ConstraintRule | undefined {
  const kind = RULE_KINDS.find((candidate) => candidate in given);
  return kind && ({ kind, value: given[kind] } as ConstraintRule);
}

/** Renders a vector as a server would: normalize, build the snapshot, compile its document, resolve, assemble. */
export function renderVector(vector: Vector): Outcome {
  const violations = new Violations();
  const reference: TemplateRef = { templateId: 'inline', version: '1.0.0' };
  const { personality, sections, constraints = [], model_config: modelConfig } = vector.bundle;
  const draft = normalizeBundleDraft(violations, 'bundle', {
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
  const templates = [
    ...(personality === undefined ? [] : [personality]),
    ...sections.flatMap((section) => ('placeholder' in section ? [] : [section])),
  ].map((each) => template(violations, each));
  const document = snapshotDocument(buildSnapshot(violations, draft, templates));
  violations.throwIfAny();

  const bundle = compileBundle(document);
  const resolved = bundle.variables.resolve(vector.tenant_variables ?? {}, vector.variables ?? {});
  const problems = variableViolations(resolved);
  if (problems.length > 0) throw new InvalidInput(problems);
  const supplied = new Map(Object.entries(vector.placeholders ?? {}));
  const placeholders = new Map([...supplied].filter(([name]) => bundle.placeholders.includes(name)));
  const { messages, text, emptySections } = bundle.assemble(resolved.texts, placeholders);
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
      messages_hash: messagesHash(messages),
      rendered_hash: renderedHash(text),
    },
  };
}
