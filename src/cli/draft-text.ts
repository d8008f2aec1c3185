/** Drafts as text in the formats that `files.ts` reads. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { Document, Scalar, visit } from 'yaml';
import {
  CapturePolicySchema,
  PromptTypeSchema,
  RoleSchema,
  SeveritySchema,
  TemplateSyntaxSchema,
  VariableTypeSchema,
  type BundleDraft,
  type Constraint,
  type PromptType,
  type Section,
  type TemplateDraft,
  type TemplateRef,
  type Tenant,
  type Variable,
} from '../../gen/platen/v1/resources_pb.js';
import { enumName } from './enum-name.ts';
import { fromValue, fromValues } from './value.ts';

/** A tenant as YAML. */
export function tenantText(tenant: Tenant): string {
  return yaml({
    display_name: tenant.displayName,
    parent: tenant.parent,
    capture_policy: enumName(CapturePolicySchema, tenant.capturePolicy),
    ...(tenant.receiptRetentionDays !== 0 && { receipt_retention_days: tenant.receiptRetentionDays }),
    variables: fromValues(tenant.variables),
  });
}

/** A template as front matter and content. */
export function templateText(type: PromptType, draft: TemplateDraft): string {
  const front = {
    type: enumName(PromptTypeSchema, type),
    syntax: enumName(TemplateSyntaxSchema, draft.syntax),
    description: draft.description,
    ...(draft.allowLiteralBraces && { allow_literal_braces: true }),
    ...(draft.variables.length > 0 && { variables: draft.variables.map(variableObject) }),
  };
  return frontMatter(front, draft.content);
}

/** A bundle as YAML. */
export function bundleText(type: PromptType, draft: BundleDraft): string {
  return yaml({
    type: enumName(PromptTypeSchema, type),
    description: draft.description,
    ...(draft.personality && { personality: refObject(draft.personality) }),
    sections: draft.sections.map(sectionObject),
    ...(draft.constraints.length > 0 && { constraints: draft.constraints.map(constraintObject) }),
    ...(draft.modelConfig && { model_config: draft.modelConfig }),
  });
}

/** Constraints as YAML; empty if there are none. */
export function constraintsText(constraints: readonly Constraint[]): string {
  return constraints.length === 0 ? '' : yaml({ constraints: constraints.map(constraintObject) });
}

/**
 * A document of the change log, of a template, bundle or tenant, in the same formats. Empty if there is none.
 * @param text canonical JSON, or empty
 */
export function documentText(text: string): string {
  if (text === '') return '';
  const document = JSON.parse(text) as JsonObject;
  const { content, ...rest } = inFileOrder({
    ...document,
    ...('personality' in document && { personality: inFileForm(document.personality as JsonObject) }),
    ...('sections' in document && { sections: (document.sections as JsonObject[]).map(inFileForm) }),
  }) as JsonObject;
  return typeof content === 'string' ? frontMatter(rest, content) : yaml(rest);
}

const KEY_ORDER = [
  'id',
  'name',
  'type',
  'display_name',
  'parent',
  'capture_policy',
  'receipt_retention_days',
  'severity',
  'syntax',
  'description',
  'allow_literal_braces',
  'personality',
  'sections',
  'template',
  'version',
  'role',
  'required',
  'untrusted',
  'default',
];

function inFileForm({ template_id: template, ...rest }: JsonObject): JsonObject {
  return { ...(template !== undefined && { template }), ...rest };
}

// Canonical JSON has its keys in alphabetical order; files have them in an order for people.
function inFileOrder(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(inFileOrder);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, member]): [string, JsonValue] => [key, inFileOrder(member)]);
  return Object.fromEntries(entries.toSorted(([a], [b]) => rank(a) - rank(b)));
}

function rank(key: string): number {
  const index = KEY_ORDER.indexOf(key);
  return index < 0 ? KEY_ORDER.length : index;
}

function frontMatter(front: JsonObject, content: string): string {
  return `---\n${yaml(front)}---\n${content}\n`;
}

function yaml(object: JsonObject): string {
  const present = Object.fromEntries(Object.entries(object).filter(([, value]) => value !== ''));
  const document = new Document(present, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_key, scalar) {
      if (typeof scalar.value === 'string' && LOST_IN_BLOCKS.test(scalar.value)) scalar.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER });
}

// Unquoted, these would read back as other text: YAML makes LF of every line end, drops byte order marks, and takes
// the space before a block for its indentation.
const LOST_IN_BLOCKS = /[\r\uFEFF]|^\s/;

function refObject({ templateId, version }: TemplateRef): JsonObject {
  return { template: templateId, version };
}

function sectionObject({ part }: Section): JsonObject {
  if (part.case === 'template') {
    return { ...refObject(part.value.template!), role: enumName(RoleSchema, part.value.role) };
  }
  return { placeholder: part.value! };
}

function variableObject(variable: Variable): JsonObject {
  return {
    name: variable.name,
    type: enumName(VariableTypeSchema, variable.type),
    ...(variable.required && { required: true }),
    ...(variable.untrusted && { untrusted: true }),
    ...(variable.default && { default: fromValue(variable.default) }),
    ...(variable.description && { description: variable.description }),
    ...(variable.maxLength && { max_length: variable.maxLength }),
    ...(variable.pattern && { pattern: variable.pattern }),
    ...(variable.enumValues.length > 0 && { enum_values: variable.enumValues }),
  };
}

function constraintObject({ id, severity, instruction, rule }: Constraint): JsonObject {
  return {
    id,
    severity: enumName(SeveritySchema, severity),
    ...(instruction && { instruction }),
    ...ruleObject(rule),
  };
}

function ruleObject(rule: Constraint['rule']): JsonObject {
  switch (rule.case) {
    case 'maxChars':
      return { max_chars: rule.value };
    case 'minChars':
      return { min_chars: rule.value };
    case 'maxWords':
      return { max_words: rule.value };
    case 'requiredPhrases':
      return { required_phrases: rule.value.phrases };
    case 'forbiddenPhrases':
      return { forbidden_phrases: rule.value.phrases };
    case 'requiredPattern':
      return { required_pattern: rule.value };
    case 'forbiddenPattern':
      return { forbidden_pattern: rule.value };
    case 'jsonSchema':
      return { json_schema: rule.value };
    case undefined:
      return {};
  }
}
