/**
 * The FORMAT syntax: `{name}` inserts a variable, `{{` and `}}` are literal braces, every other brace is a mistake
 * (spec section 3, "Template syntax").
 */
import { isName } from './identifier.ts';
import type { TemplateValues } from './template-values.ts';

/** Something in FORMAT content that cannot be meant as it is written. */
export interface FormatMistake {
  /** In UTF-16 code units. */
  readonly offset: number;
  readonly kind: 'LONE_BRACE' | 'DOUBLE_BRACE' | 'BAD_NAME';
  /** What stands there; for DOUBLE_BRACE the name within. */
  readonly source: string;
}

export interface FormatScan {
  /** The text before, between and after the placeholders: always one more than there are names. */
  readonly literals: readonly string[];
  /** The placeholders in order. */
  readonly names: readonly string[];
  /** Where each placeholder begins, in UTF-16 code units. */
  readonly offsets: readonly number[];
  readonly mistakes: readonly FormatMistake[];
}

const TOKEN = /\{\{|\}\}|\{([a-z_][a-z0-9_]*)\}|[{}]/g;
const MUSTACHE = /\{\{\s*([A-Za-z_][A-Za-z0-9_.]*)\s*\}\}/y;
const NEARLY_A_NAME = /\{[ \t]*[^\s{}"']*[ \t]*\}/y;

function matchAt(pattern: RegExp, text: string, offset: number): RegExpExecArray | null {
  pattern.lastIndex = offset;
  return pattern.exec(text);
}

/**
 * Reads FORMAT content from left to right. Mistakes are taken as text and noted; DOUBLE_BRACE ones also read as two
 * literal braces around a name.
 */
export function scanFormat(content: string): FormatScan {
  const literals: string[] = [];
  const names: string[] = [];
  const offsets: number[] = [];
  const mistakes: FormatMistake[] = [];
  const token = new RegExp(TOKEN);
  let literal = '';
  let end = 0;
  for (let match = token.exec(content); match !== null; match = token.exec(content)) {
    const [source, name] = match;
    const offset = match.index;
    literal += content.slice(end, offset);
    end = token.lastIndex;
    if (name !== undefined && isName(name)) {
      literals.push(literal);
      names.push(name);
      offsets.push(offset);
      literal = '';
    } else if (source === '{{' || source === '}}') {
      const mustache = source === '{{' ? matchAt(MUSTACHE, content, offset) : null;
      if (mustache !== null) mistakes.push({ offset, kind: 'DOUBLE_BRACE', source: mustache[1] as string });
      literal += source.charAt(0);
    } else {
      const nearly = matchAt(NEARLY_A_NAME, content, offset);
      const written = nearly === null ? source : nearly[0];
      mistakes.push({ offset, kind: nearly === null ? 'LONE_BRACE' : 'BAD_NAME', source: written });
      literal += written;
      end = offset + written.length;
      token.lastIndex = end;
    }
  }
  literals.push(literal + content.slice(end));
  return { literals, names, offsets, mistakes };
}

/** Compiles content without mistakes. */
export function compileFormat(content: string): (values: TemplateValues) => string {
  const { literals, names } = scanFormat(content);
  return formatted(literals.slice(), names.slice(), Buffer.byteLength(literals.join('')));
}

/** Holds nothing but what it needs: a bundle is kept for as long as it is rendered. */
function formatted(
  literals: readonly string[],
  names: readonly string[],
  literalBytes: number,
): (values: TemplateValues) => string {
  return ({ texts, budget }) => {
    let bytes = literalBytes;
    for (const name of names) bytes += Buffer.byteLength(texts.get(name) ?? '');
    budget.takeBytes(bytes);
    let text = literals[0]!;
    for (let index = 0; index < names.length; index += 1) {
      text += (texts.get(names[index]!) ?? '') + literals[index + 1]!;
    }
    return text;
  };
}

/** Code units of a line that are shown on either side of a place in it. */
const SHOWN = 30;

/** A place in content, as people look it up. */
export interface Place {
  /** `line 2, column 3`: both from 1, the column in code points. */
  readonly position: string;
  /** What stands around it in its line, as a JSON string. */
  readonly line: string;
}

/** Tells the places of offsets that are asked for in ascending order. */
export function places(content: string): (offset: number) => Place {
  let at = 0;
  let line = 1;
  let column = 1;
  let start = 0;
  return (offset) => {
    for (const character of content.slice(at, offset)) {
      at += character.length;
      if (character === '\n') {
        line += 1;
        column = 1;
        start = at;
      } else {
        column += 1;
      }
    }
    const [rest] = content.slice(offset, offset + SHOWN).split('\n', 1) as [string];
    const shown = content.slice(Math.max(start, offset - SHOWN), offset) + rest;
    return { position: `line ${line}, column ${column}`, line: JSON.stringify(shown.toWellFormed()) };
  };
}
