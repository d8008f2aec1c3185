/** A look at every expression of parsed LIQUID content. */
import {
  AssignTag,
  CaptureTag,
  CaseTag,
  type Filter,
  ForTag,
  IfTag,
  Output,
  type PropertyAccessToken,
  type Template,
  type Token,
  TypeGuards,
  UnlessTag,
  type Value,
  type ValueToken,
} from 'liquidjs';
import type { ViolationReason } from './errors.ts';
import {
  isBracketed,
  isEnd,
  isMemberName,
  isParameter,
  isQuoted,
  isSeparator,
  placeOf,
  takesParametersOnly,
  takeTurns,
} from './liquid-expression.ts';
import { FILTERS, takesMember } from './liquid-filters.ts';
import type { LiquidMistake } from './liquid-structure.ts';
import { excerpt } from './text.ts';

/** A variable that content reads. */
export interface LiquidRead {
  readonly name: string;
  /** In UTF-16 code units. */
  readonly offset: number;
  /** Where: output on its own, in a condition, or anywhere else. An output within a capture is elsewhere. */
  readonly use: 'output' | 'condition' | 'other';
  /** Whether the content may have made it by then, in a branch or a loop. */
  readonly assigned: boolean;
  /** Whether its members or items are read. */
  readonly holder: boolean;
}

type Use = LiquidRead['use'];
type NameToken = CaptureTag['identifier'];

/** Words that name nothing else. */
const WORDS = new Set(['true', 'false', 'nil', 'null', 'empty', 'blank', 'and', 'or', 'not', 'contains', 'forloop']);
const NUMBER = /^-?\d+$/;

/** A filter that is not on the list. */
export function unknownFilter(name: string, offset: number): LiquidMistake {
  const description = `the filter ${excerpt(name)} is not available; docs/templates.md lists those that are`;
  return { offset, reason: 'NOT_ALLOWED', description };
}

export class Walk {
  readonly mistakes: LiquidMistake[] = [];
  readonly #content: string;
  readonly #reads: LiquidRead[] = [];
  /** Names that are made somewhere before. */
  readonly #made = new Set<string>();
  /** Names that are certainly made, by block. */
  readonly #scopes: Set<string>[] = [];

  constructor(content: string) {
    this.#content = content;
  }

  /** Every read of a variable that the content does not certainly make itself, in order. */
  reads(): LiquidRead[] {
    return this.#reads.toSorted((a, b) => a.offset - b.offset);
  }

  /** The names that the content makes. */
  locals(): string[] {
    return [...this.#made];
  }

  /** @param names that are made for the block only */
  block(templates: readonly Template[], captured: boolean, ...names: string[]): void {
    this.#scopes.push(new Set(names));
    for (const template of templates) this.#template(template, captured);
    this.#scopes.pop();
  }

  #template(template: Template, captured: boolean): void {
    if (template instanceof Output) {
      // Its last filter is not its author's: it makes text of the value.
      const { initial, filters } = template.value;
      this.#expression(initial.postfix, filters.slice(0, -1), captured ? 'other' : 'output');
    } else if (template instanceof IfTag || template instanceof UnlessTag) {
      for (const { value } of template.branches) this.#value(value, 'condition');
      this.#branches(template, captured);
    } else if (template instanceof CaseTag) {
      this.#value(template.value, 'condition');
      for (const { values } of template.branches) this.#when(values, template.token);
      this.#branches(template, captured);
    } else if (template instanceof ForTag) {
      this.#for(template, captured);
    } else if (template instanceof CaptureTag) {
      this.block(template.templates, true);
      this.#token(template.identifier, 'other');
      this.#make(template.identifier);
      this.#requireClosed(template.identifier.end);
    } else if (template instanceof AssignTag) {
      for (const value of template.arguments()) this.#value(value as Value, 'other');
      for (const name of template.localScope()) this.#make(name);
    }
  }

  #branches({ branches, elseTemplates }: IfTag | UnlessTag | CaseTag, captured: boolean): void {
    for (const { templates } of branches) this.block(templates, captured);
    this.block(elseTemplates ?? [], captured);
  }

  #for(tag: ForTag, captured: boolean): void {
    const { collection, hash, variable, token } = tag;
    if (TypeGuards.isRangeToken(collection)) {
      this.#token(collection.lhs, 'other');
      this.#token(collection.rhs, 'other');
    } else {
      this.#token(collection, 'other', true);
    }
    for (const [name, value] of Object.entries(hash.hash)) {
      if (name !== 'offset' || value?.getText() !== 'continue') this.#token(value, 'other');
    }
    const unknown = Object.entries(hash.hash).filter(([name, value]) => !isParameter(name, value));
    for (const [name] of unknown) {
      const description = `a for takes limit: N, offset: N and reversed, and not ${excerpt(name)} like this`;
      this.#refuse(token.begin, 'NOT_ALLOWED', description);
    }
    if (unknown.length === 0 && !takesParametersOnly(tag)) {
      this.#refuse(collection.end, 'BAD_SYNTAX', 'a for takes limit: N, offset: N and reversed, and no filters');
    }
    this.#requireName(variable, token.begin);
    this.block(tag.templates, captured, variable, 'forloop');
    this.block(tag.elseTemplates, captured);
  }

  #when(values: readonly ValueToken[], { begin }: Token): void {
    if (values.length === 0) this.#refuse(begin, 'BAD_SYNTAX', 'each when of a case takes at least one value');
    values.forEach((value, index) => {
      this.#token(value, 'condition');
      const next = values[index + 1];
      if (next === undefined) {
        this.#requireClosed(value.end);
      } else if (!isSeparator(this.#content.slice(value.end, next.begin))) {
        this.#refuse(value.end, 'BAD_SYNTAX', 'the values of a when stand apart by a comma or by or');
      }
    });
  }

  #value({ initial, filters }: Value, use: Use): void {
    this.#expression(initial.postfix, filters, use);
  }

  #expression(postfix: readonly Token[], filters: readonly Filter[], use: Use): void {
    const alone = filters.length === 0 && (use === 'condition' || postfix.length === 1);
    let end = 0;
    for (const token of postfix) {
      end = Math.max(end, token.end);
      this.#token(token, alone ? use : 'other');
    }
    if (!takeTurns(postfix)) {
      const begin = Math.min(...postfix.map((token) => token.begin));
      this.#refuse(begin, 'BAD_SYNTAX', 'values have to stand between operators, and operators between values');
    }
    for (const filter of filters) this.#filter(filter);
    const last = filters.at(-1);
    this.#requireClosed(last === undefined ? end : placeOf(last).end);
  }

  #filter(filter: Filter): void {
    const { name, args } = filter;
    const begin = this.#content.lastIndexOf('|', placeOf(filter).begin);
    const takes = FILTERS.get(name);
    if (takes === undefined) {
      this.mistakes.push(unknownFilter(name, begin));
      return;
    }
    const positional = args.filter((arg) => !Array.isArray(arg));
    if (positional.length < takes.fewest || positional.length > takes.most) {
      const count = takes.fewest === takes.most ? takes.most : `${takes.fewest} to ${takes.most}`;
      this.#refuse(begin, 'BAD_SYNTAX', `${name} has ${positional.length} arguments here; it takes ${count}`);
    }
    const [first] = positional as Token[];
    if (first !== undefined && takesMember(name) && !isMemberName(first)) {
      const description = `${name} takes the name of a member in quotes, as ${name}: "name"`;
      this.#refuse(first.begin, 'NOT_ALLOWED', description);
    }
    for (const arg of args) {
      if (!Array.isArray(arg)) {
        this.#token(arg, 'other');
      } else if (name === 'default' && arg[0] === 'allow_false' && arg[1] !== undefined) {
        this.#token(arg[1], 'other');
      } else {
        this.#refuse(begin, 'BAD_SYNTAX', `${name} has no argument ${excerpt(String(arg[0]))}`);
      }
    }
  }

  /** @param looped whether a for goes over it */
  #token(token: Token | undefined, use: Use, looped = false): void {
    if (TypeGuards.isQuotedToken(token)) {
      if (!isQuoted(token.getText())) this.#refuse(token.begin, 'BAD_SYNTAX', 'a quote is not closed');
      if (token.content.includes('\0')) this.#refuse(token.begin, 'NUL', 'text must not contain U+0000');
      if (!token.content.isWellFormed()) this.#refuse(token.begin, 'NOT_UNICODE', 'half of a character is no text');
    } else if (TypeGuards.isNumberToken(token)) {
      if (!Number.isFinite(Number(token.content))) this.#refuse(token.begin, 'NOT_FINITE', 'the number is too large');
    } else if (TypeGuards.isRangeToken(token)) {
      this.#refuse(token.begin, 'NOT_ALLOWED', 'a range stands in a for only');
    } else if (TypeGuards.isPropertyAccessToken(token)) {
      this.#path(token, use, looped);
    }
  }

  #path({ variable, props, begin, end }: PropertyAccessToken, use: Use, looped: boolean): void {
    const [root, ...members] = props;
    if (variable !== undefined || !TypeGuards.isWordToken(root)) {
      this.#refuse(begin, 'NOT_ALLOWED', 'a value is read by the name of its variable, as user or user.name');
      return;
    }
    if (this.#content[end - 1] === '.') this.#refuse(end - 1, 'BAD_SYNTAX', 'the name of a member is missing');
    for (const member of members) {
      if (TypeGuards.isWordToken(member) && member.size() > 0) continue;
      this.#token(member, use === 'condition' ? use : 'other');
      if (member.size() > 0 && isBracketed(this.#content, member.end)) continue;
      this.#refuse(member.begin, 'BAD_SYNTAX', 'brackets hold the name of a member in quotes, a number or a variable');
    }
    const { content: name } = root;
    if (this.#scopes.some((scope) => scope.has(name))) {
      if (name !== 'forloop' || members.length > 0) return;
      this.#refuse(begin, 'NOT_ALLOWED', 'read a member of forloop, as forloop.index');
      return;
    }
    const ofMember = use === 'output' && members.length > 0;
    // Text has a size too.
    const holder = looped || members.some((member) => member.getText() !== 'size');
    this.#reads.push({ name, offset: begin, use: ofMember ? 'other' : use, assigned: this.#made.has(name), holder });
  }

  #make({ content: name, begin }: NameToken): void {
    this.#requireName(name, begin);
    this.#scopes.at(-1)!.add(name);
    this.#made.add(name);
  }

  #requireName(name: string, offset: number): void {
    if (!WORDS.has(name) && !NUMBER.test(name)) return;
    this.#refuse(offset, 'NOT_ALLOWED', `${name} has a meaning of its own; take another name`);
  }

  #requireClosed(end: number): void {
    if (isEnd(this.#content, end)) return;
    this.#refuse(end, 'BAD_SYNTAX', 'what stands here is not understood');
  }

  #refuse(offset: number, reason: ViolationReason, description: string): void {
    this.mistakes.push({ offset, reason, description });
  }
}
