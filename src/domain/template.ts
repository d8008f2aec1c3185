/** Templates: their content, how it is read, and how it is rendered (spec section 3, "Template syntax"). */
import { documentOf, type Document } from './document.ts';
import { checkName } from './enumeration.ts';
import type { Violations } from './errors.ts';
import { type FormatScan, type Mistake, places, scanFormat } from './format-syntax.ts';
import { NAME_RULE } from './identifier.ts';
import { MAX_CONTENT_CHARACTERS, MAX_VARIABLES } from './limits.ts';
import type { PromptType } from './prompt-type.ts';
import { characters, checkDescription, excerpt, isBlank, normalizeContent } from './text.ts';
import {
  type EffectiveDeclaration,
  normalizeDeclarations,
  type UncheckedDeclaration,
  type VariableDeclaration,
  variableRules,
} from './variable-declaration.ts';
import type { VariableRules } from './variable-rules.ts';

export const TEMPLATE_SYNTAXES = ['FORMAT', 'LITERAL'] as const;
export type TemplateSyntax = (typeof TEMPLATE_SYNTAXES)[number];

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

/** Content compiled for many renders. */
export interface CompiledTemplate {
  /** The content with each placeholder replaced by its text; a name without a text by nothing. */
  render(texts: ReadonlyMap<string, string>): string;
  /** The length in bytes of UTF-8 of what render would return. */
  bytes(texts: ReadonlyMap<string, string>): number;
}

function scan(syntax: TemplateSyntax, content: string): FormatScan {
  if (syntax === 'LITERAL') return { literals: [content], names: [], offsets: [], mistakes: [] };
  return scanFormat(content);
}

function reportMistakes(
  violations: Violations,
  field: string,
  content: string,
  mistakes: readonly Mistake[],
  allowLiteralBraces: boolean,
): void {
  const placeOf = places(content);
  for (const { offset, kind, source } of mistakes) {
    const { position, line } = placeOf(offset);
    if (kind === 'LONE_BRACE') {
      const description = `${position}: a lone ${source} in ${line}; write ${source}${source} for a literal brace`;
      violations.add(field, 'LONE_BRACE', description);
    } else if (kind === 'BAD_NAME') {
      const description =
        `${position}: ${excerpt(source)} is no placeholder: a name is ${NAME_RULE}, with no white space around it; ` +
        'for literal braces write {{ and }}';
      violations.add(field, 'BAD_FORMAT', description);
    } else if (!allowLiteralBraces) {
      const description =
        `${position}: {{${source}}} is most likely meant to insert a variable: write {${source}}; ` +
        'if the braces are meant literally, set allow_literal_braces';
      violations.add(field, 'DOUBLE_BRACE', description);
    }
  }
}

function checkPlaceholders(
  violations: Violations,
  field: string,
  content: string,
  { names, offsets }: FormatScan,
  declared: readonly UncheckedDeclaration[],
): void {
  const open = new Set(names);
  if (declared.length === 0) {
    if (open.size > MAX_VARIABLES) {
      violations.add(field, 'TOO_MANY', `at most ${MAX_VARIABLES} variables are allowed, not ${open.size}`);
    }
    return;
  }
  for (const { name } of declared) open.delete(name);
  const placeOf = places(content);
  names.forEach((name, index) => {
    if (!open.delete(name)) return;
    const { position } = placeOf(offsets[index] as number);
    violations.add(field, 'UNKNOWN_PLACEHOLDER', `${position}: {${name}} is not declared; declare it in variables`);
  });
}

/** Braces are looked at only in content of allowed length. */
function checkContent(
  violations: Violations,
  field: string,
  syntax: TemplateSyntax | undefined,
  content: string,
  draft: UncheckedTemplateDraft,
): void {
  if (content === '') {
    violations.add(field, 'REQUIRED', 'content is required');
  } else if (isBlank(content)) {
    violations.add(field, 'BLANK', 'must hold more than white space');
  }
  const length = characters(content);
  if (length > MAX_CONTENT_CHARACTERS) {
    violations.add(field, 'TOO_LONG', `must have at most ${MAX_CONTENT_CHARACTERS} characters, not ${length}`);
  } else if (syntax !== undefined) {
    const read = scan(syntax, content);
    reportMistakes(violations, field, content, read.mistakes, draft.allowLiteralBraces);
    checkPlaceholders(violations, field, content, read, draft.variables);
  }
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
  checkContent(violations, `${field}.content`, syntax, content, draft);
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
  const stored = JSON.parse(text) as StoredTemplate;
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
      })),
      description: stored.description ?? '',
      allowLiteralBraces: stored.allow_literal_braces ?? false,
    },
  };
}

/** The names of the variables that valid content reads, in order of first use. */
export function readVariables(syntax: TemplateSyntax, content: string): string[] {
  return [...new Set(scan(syntax, content).names)];
}

/** The names of the variables that a draft declares and its content does not read, in order of declaration. */
export function unusedVariables(draft: TemplateDraft): string[] {
  const read = new Set(readVariables(draft.syntax, draft.content));
  return draft.variables.map(({ name }) => name).filter((name) => !read.has(name));
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
    inferred: true,
  }));
}

/** Compiles valid content; values are inserted verbatim and never read as a template. */
export function compileTemplate(syntax: TemplateSyntax, content: string): CompiledTemplate {
  const { literals, names } = scan(syntax, content);
  const first = literals[0] as string;
  const pieces = names.map((name, index) => ({ name, literal: literals[index + 1] as string }));
  const literalBytes = Buffer.byteLength(literals.join(''));
  return Object.freeze({
    render(texts: ReadonlyMap<string, string>): string {
      let text = first;
      for (const { name, literal } of pieces) text += (texts.get(name) ?? '') + literal;
      return text;
    },
    bytes(texts: ReadonlyMap<string, string>): number {
      let bytes = literalBytes;
      for (const { name } of pieces) bytes += Buffer.byteLength(texts.get(name) ?? '');
      return bytes;
    },
  });
}
