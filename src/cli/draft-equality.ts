/**
 * Whether a file says what the server holds. The server stores drafts normalized (spec section 3: LF line ends, NFC,
 * declarations by name, constraints by id, phrases and enum values sorted), so both sides are brought to that form
 * before they are compared.
 */
import { isDeepStrictEqual } from 'node:util';
import { toJson } from '@bufbuild/protobuf';
import {
  BundleDraftSchema,
  CapturePolicy,
  TemplateDraftSchema,
  TemplateSyntax,
  type BundleDraft,
  type Constraint,
  type TemplateDraft,
  type Tenant,
  type Variable,
} from '../../gen/platen/v1/resources_pb.js';
import type { TenantFile } from './files.ts';
import { fromValues } from './value.ts';

export function sameTenant(held: Tenant, file: TenantFile): boolean {
  return (
    (held.tenant === 'default' ? held.parent === file.parent : held.parent === (file.parent || 'default')) &&
    held.displayName === file.displayName &&
    held.capturePolicy === (file.capturePolicy || CapturePolicy.VARIABLES) &&
    held.receiptRetentionDays === file.receiptRetentionDays &&
    isDeepStrictEqual(fromValues(held.variables), file.variables)
  );
}

export function sameTemplateDraft(a: TemplateDraft, b: TemplateDraft): boolean {
  return isDeepStrictEqual(templateForm(a), templateForm(b));
}

export function sameBundleDraft(a: BundleDraft, b: BundleDraft): boolean {
  return isDeepStrictEqual(bundleForm(a), bundleForm(b));
}

function templateForm(draft: TemplateDraft): unknown {
  return toJson(TemplateDraftSchema, {
    ...draft,
    syntax: draft.syntax || TemplateSyntax.FORMAT,
    content: normalized(draft.content.replace(/^\uFEFF/, '')),
    description: note(draft.description),
    variables: draft.variables.map(variableForm).toSorted(by(({ name }) => name)),
  });
}

function variableForm(variable: Variable): Variable {
  const enumValues = variable.enumValues.map((value) => value.normalize('NFC')).toSorted();
  return { ...variable, description: note(variable.description), enumValues };
}

function bundleForm(draft: BundleDraft): unknown {
  const constraints = draft.constraints.map(constraintForm).toSorted(by(({ id }) => id));
  return toJson(BundleDraftSchema, { ...draft, constraints, description: note(draft.description) });
}

function constraintForm(constraint: Constraint): Constraint {
  const { rule } = constraint;
  const instruction = note(constraint.instruction);
  if (rule.case !== 'requiredPhrases' && rule.case !== 'forbiddenPhrases') return { ...constraint, instruction };
  const phrases = [...new Set(rule.value.phrases.map((phrase) => phrase.normalize('NFC').trim()))].toSorted();
  return { ...constraint, instruction, rule: { ...rule, value: { ...rule.value, phrases } } };
}

function note(text: string): string {
  return normalized(text).trim();
}

function normalized(text: string): string {
  return text.replaceAll(/\r\n?/g, '\n').normalize('NFC');
}

function by<T>(key: (item: T) => string): (a: T, b: T) => number {
  return (a, b) => (key(a) < key(b) ? -1 : 1);
}
