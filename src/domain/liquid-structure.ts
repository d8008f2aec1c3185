/** How the tags of LIQUID content stand to one another. What LiquidJS would leave out without a word is refused. */
import { type TagToken, type TopLevelToken, TypeGuards } from 'liquidjs';
import type { ViolationReason } from './errors.ts';
import { MAX_LIQUID_LEVELS } from './limits.ts';
import { INNER_TAGS, TAGS } from './liquid-engine.ts';
import { depthOf } from './liquid-expression.ts';
import { excerpt, isBlank } from './text.ts';

/** Something in LIQUID content that is not accepted. */
export interface LiquidMistake {
  /** In UTF-16 code units. */
  readonly offset: number;
  readonly reason: ViolationReason;
  /** What is wrong and how to mend it. */
  readonly description: string;
}

/** Tags that have a block, and those that divide it. */
const DIVIDING: Readonly<Record<string, readonly string[]>> = {
  capture: [],
  case: ['when', 'else'],
  for: ['else'],
  if: ['elsif', 'else'],
  unless: ['elsif', 'else'],
};
const AVAILABLE = [...new Set([...TAGS, ...Object.values(DIVIDING).flat()])].toSorted().join(', ');
/** What others call elsif. */
const ELSIF = new Set(['elif', 'elseif']);
/** Tags that take something and have no block. */
const TAKING = new Set(['assign', 'elsif', 'when']);
/** Nothing is read in them. */
const SILENT = ['#', 'comment', 'raw'];

interface Block {
  readonly tag: TagToken;
  /** The last tag that divided it. */
  divider: string;
}

/** Reads tags and outputs one after another. */
class Structure {
  readonly mistakes: LiquidMistake[] = [];
  /** The tags and outputs that are not within comments. */
  readonly read: TopLevelToken[] = [];
  readonly #open: Block[] = [];
  /** The comment or raw tag whose end is looked for. */
  #silent: TagToken | undefined;

  next(token: TopLevelToken): void {
    const tag = TypeGuards.isTagToken(token) ? token : undefined;
    if (this.#silent) {
      if (tag?.name === `end${this.#silent.name}`) this.#silent = undefined;
      return;
    }
    if (this.#isLost(token, tag)) {
      this.#refuse(token, 'what stands between case and its first when is not rendered; move it');
    }
    if (TypeGuards.isHTMLToken(token)) return;
    if (tag?.name === '#') {
      this.#remark(tag);
      return;
    }
    if (tag !== undefined && SILENT.includes(tag.name)) {
      this.#silent = tag;
      return;
    }
    this.read.push(token);
    if (depthOf(token.getText()) > MAX_LIQUID_LEVELS) {
      const description = `at most ${MAX_LIQUID_LEVELS} brackets or parentheses may stand inside one another`;
      this.#refuse(token, description, 'TOO_COMPLEX');
    }
    if (tag !== undefined) this.#tag(tag);
  }

  end(): void {
    if (this.#silent) this.#refuse(this.#silent, `${this.#silent.name} is not closed; end it with endcomment`);
    this.#close(this.#open);
  }

  #isLost(token: TopLevelToken, tag: TagToken | undefined): boolean {
    const block = this.#open.at(-1);
    if (block?.tag.name !== 'case' || block.divider !== '') return false;
    if (TypeGuards.isHTMLToken(token)) return !isBlank(token.getText());
    return tag === undefined || ![...SILENT, 'when', 'else', 'endcase'].includes(tag.name);
  }

  #remark(tag: TagToken): void {
    const [, ...lines] = tag.args.split('\n').map((line) => line.trim());
    if (lines.every((line) => line === '' || line.startsWith('#'))) return;
    this.#refuse(tag, 'every line of this remark begins with #; comment takes text of any form');
  }

  #tag(tag: TagToken): void {
    const { name } = tag;
    if (!TAGS.includes(name) && !INNER_TAGS.has(name)) {
      const instead = ELSIF.has(name) ? 'write elsif' : `use one of ${AVAILABLE}`;
      this.#refuse(tag, `the tag ${excerpt(name)} is not available; ${instead}`, 'NOT_ALLOWED');
    } else if (Object.hasOwn(DIVIDING, name)) {
      this.#begin(tag);
    } else {
      if (name === 'break' || name === 'continue') this.#leave(tag);
      else if (name.startsWith('end')) this.#end(tag);
      else if (name !== 'assign') this.#divide(tag);
      if (tag.args === '' || TAKING.has(name)) return;
      this.#refuse(tag, `${name} takes nothing, and ${excerpt(tag.args)} is there`);
    }
  }

  #begin(tag: TagToken): void {
    this.#open.push({ tag, divider: '' });
    if (this.#open.length !== MAX_LIQUID_LEVELS + 1) return;
    this.#refuse(tag, `at most ${MAX_LIQUID_LEVELS} blocks may stand inside one another`, 'TOO_COMPLEX');
  }

  #divide(tag: TagToken): void {
    const block = this.#open.at(-1);
    if (block === undefined || !DIVIDING[block.tag.name]!.includes(tag.name)) {
      this.#refuse(tag, `there is no block here that ${tag.name} could divide`);
    } else if (block.divider === 'else') {
      const what = tag.name === 'else' ? 'has an else already' : `has its else before this ${tag.name}`;
      this.#refuse(tag, `this ${block.tag.name} ${what}; there is one else in a block, at its end`);
    } else {
      block.divider = tag.name;
    }
  }

  #end(tag: TagToken): void {
    const index = this.#open.findLastIndex((block) => tag.name === `end${block.tag.name}`);
    if (index === -1) {
      this.#refuse(tag, `there is no block here that ${tag.name} could end`);
      this.#open.pop();
    } else {
      this.#close(this.#open.splice(index).slice(1));
    }
  }

  #leave(tag: TagToken): void {
    if (this.#open.some((block) => block.tag.name === 'for' && block.divider === '')) return;
    this.#refuse(tag, `there is no for here that ${tag.name} could leave`);
  }

  #close(blocks: readonly Block[]): void {
    for (const { tag } of blocks) this.#refuse(tag, `${tag.name} is not closed; end it with end${tag.name}`);
  }

  #refuse(token: TopLevelToken, description: string, reason: ViolationReason = 'BAD_SYNTAX'): void {
    this.mistakes.push({ offset: token.begin, reason, description });
  }
}

/** Looks at the tags of content. @returns what is wrong with them, and those, with outputs, that are not in comments */
export function readStructure(
  tokens: readonly TopLevelToken[],
): { readonly mistakes: LiquidMistake[]; readonly read: readonly TopLevelToken[] } {
  const structure = new Structure();
  for (const token of tokens) structure.next(token);
  structure.end();
  return structure;
}
