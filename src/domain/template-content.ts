/** Content of templates: what is wrong with it, what it reads, how it renders (spec section 3, "Template syntax"). */
import type { ViolationReason, Violations } from './errors.ts';
import { compileFormat, type FormatMistake, places, scanFormat } from './format-syntax.ts';
import { isName, NAME_RULE } from './identifier.ts';
import { MAX_CONTENT_CHARACTERS, MAX_VARIABLES } from './limits.ts';
import { type LiquidRead, readLiquid } from './liquid-syntax.ts';
import { compileLiquid } from './liquid-template.ts';
import type { TemplateValues } from './template-values.ts';
import { characters, excerpt, isBlank } from './text.ts';
import type { UncheckedDeclaration } from './variable-declaration.ts';

export const TEMPLATE_SYNTAXES = ['FORMAT', 'LITERAL', 'LIQUID'] as const;
export type TemplateSyntax = (typeof TEMPLATE_SYNTAXES)[number];

/**
 * Content compiled for many renders: gives it with the values in their places.
 * @throws RenderedTooLarge before anything of that size is built, RenderTooCostly; InvalidInput if a value does not
 * have the member that the content reads
 */
export type CompiledTemplate = (values: TemplateValues) => string;

/** A place where content reads a variable. */
interface Read {
  readonly name: string;
  /** In UTF-16 code units. */
  readonly offset: number;
}

function describeFormat({ kind, source }: FormatMistake, line: string): [ViolationReason, string] {
  switch (kind) {
    case 'LONE_BRACE':
      return [kind, `a lone ${source} in ${line}; write ${source}${source} for a literal brace`];
    case 'BAD_NAME':
      return [
        'BAD_FORMAT',
        `${excerpt(source)} is no placeholder: a name is ${NAME_RULE}, with no white space around it; ` +
          'for literal braces write {{ and }}',
      ];
    case 'DOUBLE_BRACE':
      return [
        kind,
        `{{${source}}} is most likely meant to insert a variable: write {${source}}; ` +
          'if the braces are meant literally, set allow_literal_braces',
      ];
  }
}

/** Reads FORMAT content, and reports what is wrong with it. */
function checkFormat(violations: Violations, field: string, content: string, allowLiteralBraces: boolean): Read[] {
  const { names, offsets, mistakes } = scanFormat(content);
  const placeOf = places(content);
  for (const mistake of mistakes) {
    if (mistake.kind === 'DOUBLE_BRACE' && allowLiteralBraces) continue;
    const { position, line } = placeOf(mistake.offset);
    const [reason, description] = describeFormat(mistake, line);
    violations.add(field, reason, `${position}: ${description}`);
  }
  return names.map((name, index) => ({ name, offset: offsets[index] as number }));
}

/** Reads LIQUID content, and reports what is wrong with it, and with how it uses untrusted variables. */
function checkLiquid(
  violations: Violations,
  field: string,
  content: string,
  declared: readonly UncheckedDeclaration[],
): Read[] {
  const { reads, mistakes } = readLiquid(content);
  const placeOf = places(content);
  for (const { offset, reason, description } of mistakes) {
    violations.add(field, reason, `${placeOf(offset).position}: ${description}`);
  }
  const untrusted = new Map(declared.flatMap(({ name, untrusted }) => (untrusted ? [[name, ''] as const] : [])));
  checkUntrustedReads(violations, field, content, reads, untrusted);
  if (mistakes.length === 0 && declared.length === 0) checkUndeclaredHolders(violations, field, content, reads);
  return reads.filter(({ assigned }) => !assigned);
}

function checkUntrustedReads(
  violations: Violations,
  field: string,
  content: string,
  reads: readonly LiquidRead[],
  untrusted: ReadonlyMap<string, string>,
): void {
  const placeOf = places(content);
  for (const { name, offset, use } of reads) {
    const declarer = untrusted.get(name);
    if (use !== 'other' || declarer === undefined) continue;
    const description =
      `${name} is untrusted${declarer && `, as template ${declarer} declares it`}: ` +
      `output it on its own as {{ ${name} }}, or test it in a condition; ` +
      'filters, loops, assign and capture could break its delimiter';
    violations.add(field, 'NOT_ALLOWED', `${placeOf(offset).position}: ${description}`);
  }
}

/** A variable that nothing declares is text, which has neither members nor items. */
function checkUndeclaredHolders(
  violations: Violations,
  field: string,
  content: string,
  reads: readonly LiquidRead[],
): void {
  const placeOf = places(content);
  const told = new Set<string>();
  for (const { name, offset, holder, assigned } of reads) {
    if (!holder || assigned || told.has(name) || !isName(name)) continue;
    told.add(name);
    const description = `members or items of ${name} are read: declare it as an OBJECT or a LIST in variables`;
    violations.add(field, 'WRONG_TYPE', `${placeOf(offset).position}: ${description}`);
  }
}

function checkReads(
  violations: Violations,
  field: string,
  content: string,
  reads: readonly Read[],
  declared: readonly UncheckedDeclaration[],
): void {
  const placeOf = places(content);
  const open = new Set(reads.map(({ name }) => name));
  if (declared.length === 0 && open.size > MAX_VARIABLES) {
    violations.add(field, 'TOO_MANY', `at most ${MAX_VARIABLES} variables are allowed, not ${open.size}`);
  }
  for (const { name } of declared) open.delete(name);
  for (const { name, offset } of reads) {
    if (!open.delete(name)) continue;
    if (!isName(name)) {
      const description = `${excerpt(name)} cannot name a variable: a name is ${NAME_RULE}`;
      violations.add(field, 'BAD_FORMAT', `${placeOf(offset).position}: ${description}`);
    } else if (declared.length > 0) {
      const description = `{${name}} is not declared; declare it in variables`;
      violations.add(field, 'UNKNOWN_PLACEHOLDER', `${placeOf(offset).position}: ${description}`);
    }
  }
}

/**
 * Checks normalized content; it is read only if its syntax is known and its length allowed.
 * @param variables what the template declares
 */
export function checkContent(
  violations: Violations,
  field: string,
  syntax: TemplateSyntax | undefined,
  content: string,
  variables: readonly UncheckedDeclaration[],
  allowLiteralBraces: boolean,
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
    if (syntax === 'FORMAT') {
      const reads = checkFormat(violations, field, content, allowLiteralBraces);
      checkReads(violations, field, content, reads, variables);
    } else if (syntax === 'LIQUID') {
      const reads = checkLiquid(violations, field, content, variables);
      checkReads(violations, field, content, reads, variables);
    }
  }
}

/** The names of the variables that valid content needs, in order of first use. */
export function readVariables(syntax: TemplateSyntax, content: string): string[] {
  switch (syntax) {
    case 'FORMAT':
      return [...new Set(scanFormat(content).names)];
    case 'LIQUID':
      return [...new Set(readLiquid(content).reads.flatMap(({ name, assigned }) => (assigned ? [] : [name])))];
    case 'LITERAL':
      return [];
  }
}

/** The names of the variables that valid content makes use of: those that it assigns in some cases only as well. */
export function usedVariables(syntax: TemplateSyntax, content: string): Set<string> {
  if (syntax !== 'LIQUID') return new Set(readVariables(syntax, content));
  return new Set(readLiquid(content).reads.map(({ name }) => name));
}

/**
 * Checks how valid content uses variables that are untrusted.
 * @param untrusted the templates that declare them so, by variable
 */
export function checkUntrustedUse(
  violations: Violations,
  field: string,
  { syntax, content }: { readonly syntax: TemplateSyntax; readonly content: string },
  untrusted: ReadonlyMap<string, string>,
): void {
  if (syntax !== 'LIQUID' || untrusted.size === 0) return;
  checkUntrustedReads(violations, field, content, readLiquid(content).reads, untrusted);
}

/**
 * Compiles valid content; values are inserted verbatim and never read as a template.
 * @param untrusted the names of the variables whose values are delimited
 * @param place where in its bundle the template is, for messages, as `sections[2]`
 */
export function compileTemplate(
  syntax: TemplateSyntax,
  content: string,
  untrusted: ReadonlySet<string>,
  place?: string,
): CompiledTemplate {
  switch (syntax) {
    case 'FORMAT':
      return compileFormat(content);
    case 'LIQUID':
      return compileLiquid(content, untrusted, place);
    case 'LITERAL':
      return compileLiteral(content);
  }
}

/** Compiles text that is rendered as it is. */
export function compileLiteral(content: string): CompiledTemplate {
  const bytes = Buffer.byteLength(content);
  return ({ budget }) => {
    budget.takeBytes(bytes);
    return content;
  };
}
