/** Templates: their drafts, and what they declare (spec section 3, "Drafts and versions", "Variables"). */
import { documentOf, type Document } from './document.ts';
import { checkName } from './enumeration.ts';
import type { Violations } from './errors.ts';
import { parseJson } from './parse-json.ts';
import type { PromptType } from './prompt-type.ts';
import {
  checkContent,
  readVariables,
  TEMPLATE_SYNTAXES,
  type TemplateSyntax,
  usedVariables,
} from './template-content.ts';
import { checkDescription, normalizeContent } from './text.ts';
import {
  type EffectiveDeclaration,
  normalizeDeclarations,
  type UncheckedDeclaration,
  type VariableDeclaration,
  variableRules,
} from './variable-declaration.ts';
import type { VariableRules } from './variable-rules.ts';

/** The mutable content of a template. */
export interface TemplateDraft {
  readonly syntax: TemplateSyntax;
  readonly content: string;
  /** By name; none: every placeholder is a required STRING. */
  readonly variables: readonly VariableDeclaration[];
  readonly description: string;
  /** FORMAT: `{{name}}` is meant as literal braces around a name. */
  readonly allowLiteralBraces: boolean;
}

/** A draft as it comes in; an empty syntax is one that is not known. */
export interface UncheckedTemplateDraft extends Omit<TemplateDraft, 'syntax' | 'variables'> {
  readonly syntax: TemplateSyntax | '';
  readonly variables: readonly UncheckedDeclaration[];
}

/**
 * Checks a draft and gives it the form in which it is stored: content in NFC with LF line ends, declarations by name.
 * Idempotent. What comes back is of use only if no violation was added.
 * @param field path of the draft in the request, as `draft`
 */
export function normalizeTemplateDraft(
  violations: Violations,
  field: string,
  draft: UncheckedTemplateDraft,
): TemplateDraft {
  const syntax = checkName(violations, `${field}.syntax`, TEMPLATE_SYNTAXES, draft.syntax) ? draft.syntax : undefined;
  const content = normalizeContent(draft.content);
  checkContent(violations, `${field}.content`, syntax, content, draft.variables, draft.allowLiteralBraces);
  return {
    syntax: syntax ?? 'FORMAT',
    content,
    variables: normalizeDeclarations(violations, `${field}.variables`, draft.variables),
    description: checkDescription(violations, `${field}.description`, draft.description),
    allowLiteralBraces: draft.allowLiteralBraces,
  };
}

/** A declaration in a template's document. */
type StoredDeclaration = VariableRules & { readonly name: string; readonly description?: string };

type StoredTemplate = {
  readonly type: PromptType;
  readonly syntax: TemplateSyntax;
  readonly content: string;
  readonly variables?: readonly StoredDeclaration[];
  readonly description?: string;
  readonly allow_literal_braces?: true;
};

/** The document of a normalized draft. Members that say nothing are left out: equal drafts have equal hashes. */
export function templateDocument(type: PromptType, draft: TemplateDraft): Document {
  const stored: StoredTemplate = {
    type,
    syntax: draft.syntax,
    content: draft.content,
    ...(draft.variables.length > 0 && {
      variables: draft.variables.map((declaration) => ({
        name: declaration.name,
        ...variableRules(declaration),
        ...(declaration.description !== '' && { description: declaration.description }),
      })),
    }),
    ...(draft.description !== '' && { description: draft.description }),
    ...(draft.allowLiteralBraces && { allow_literal_braces: true }),
  };
  return documentOf(stored);
}

/** The draft that templateDocument was given. */
export function parseTemplateDocument(text: string): { type: PromptType; draft: TemplateDraft } {
  const stored = parseJson(text) as StoredTemplate;
  return {
    type: stored.type,
    draft: {
      syntax: stored.syntax,
      content: stored.content,
      variables: (stored.variables ?? []).map((declaration) => ({
        name: declaration.name,
        type: declaration.type,
        required: declaration.required ?? false,
        ...(declaration.default !== undefined && { default: declaration.default }),
        description: declaration.description ?? '',
        maxLength: declaration.max_length ?? 0,
        pattern: declaration.pattern ?? '',
        enumValues: declaration.enum_values ?? [],
        untrusted: declaration.untrusted ?? false,
      })),
      description: stored.description ?? '',
      allowLiteralBraces: stored.allow_literal_braces ?? false,
    },
  };
}

/** The names of the variables that a draft declares and its content does not read, in order of declaration. */
export function unusedVariables(draft: TemplateDraft): string[] {
  const used = usedVariables(draft.syntax, draft.content);
  return draft.variables.map(({ name }) => name).filter((name) => !used.has(name));
}

/** The declarations of a draft; without any, a required STRING for every placeholder. */
export function effectiveDeclarations(draft: TemplateDraft): readonly EffectiveDeclaration[] {
  if (draft.variables.length > 0) return draft.variables.map((declaration) => ({ ...declaration, inferred: false }));
  return readVariables(draft.syntax, draft.content).map((name) => ({
    name,
    type: 'STRING',
    required: true,
    description: '',
    maxLength: 0,
    pattern: '',
    enumValues: [],
    untrusted: false,
    inferred: true,
  }));
}
