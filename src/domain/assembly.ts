/**
 * Assembly: how a snapshot and its inputs become messages and text (spec section 3, "Assembly"). The same snapshot and
 * inputs give the same bytes everywhere; whatever changes them raises RENDERER_VERSION.
 */
import { constraintInstructions } from './constraint.ts';
import { type Document, documentOf, sha256 } from './document.ts';
import { RenderedTooLarge } from './errors.ts';
import type { JsonObject } from './json.ts';
import { MAX_RENDERED_BYTES } from './limits.ts';
import type { Role } from './prompt-type.ts';
import { constraintsHash, parseSnapshot, personalityHash, type Snapshot } from './snapshot.ts';
import { type CompiledTemplate, compileTemplate } from './template.ts';
import { type CompiledVariables, compileVariables } from './variables.ts';

/** The semantics of assembly; each receipt records it. */
export const RENDERER_VERSION = 1;

/** One message of a chat. */
export interface Message {
  readonly role: Role;
  readonly content: string;
}

/** What a render came to. */
export interface Assembled {
  readonly messages: readonly Message[];
  /** All message contents joined by a blank line. */
  readonly text: string;
  /** Indexes of the template sections that rendered to nothing and were dropped. */
  readonly emptySections: readonly number[];
}

/** A snapshot compiled for many renders. Frozen. */
export interface CompiledBundle {
  readonly bundleHash: string;
  /** Empty: no personality. */
  readonly personalityHash: string;
  readonly constraintsHash: string;
  readonly snapshot: Snapshot;
  /** The names under which callers may send messages, in order. */
  readonly placeholders: readonly string[];
  readonly variables: CompiledVariables;
  /** Roughly what this takes of memory. */
  readonly bytes: number;
  /**
   * @param texts what is inserted, by variable; a name without a text inserts nothing
   * @param placeholders messages by placeholder; names that the bundle does not have are not looked at
   * @throws RenderedTooLarge, before anything of that size is built
   */
  assemble(texts: ReadonlyMap<string, string>, placeholders: ReadonlyMap<string, readonly Message[]>): Assembled;
}

const BLANK_LINE = '\n\n';

/** Measured: what a compiled bundle takes besides its text and patterns. */
const FIXED_BYTES = 4096;
const BYTES_PER_CHARACTER = 2;

/** A template of a bundle; the personality and the constraint instructions are no section. */
interface TemplatePart {
  readonly section: number | undefined;
  readonly role: Role;
  readonly template: CompiledTemplate;
}

type Part = TemplatePart | { readonly placeholder: string };

/** The parts of the one system message: the personality, the SYSTEM sections, the constraint instructions. */
function systemParts(snapshot: Snapshot, sections: readonly Part[]): TemplatePart[] {
  const { personality, constraints } = snapshot;
  const outside = (template: CompiledTemplate): TemplatePart => ({ section: undefined, role: 'SYSTEM', template });
  return [
    ...(personality === undefined ? [] : [outside(compileTemplate(personality.syntax, personality.content))]),
    ...sections.filter((part): part is TemplatePart => 'template' in part && part.role === 'SYSTEM'),
    outside(compileTemplate('LITERAL', constraintInstructions(constraints))),
  ];
}

/** The length of the text in bytes of UTF-8, told without building it. */
function measure(
  parts: readonly Part[],
  texts: ReadonlyMap<string, string>,
  placeholders: ReadonlyMap<string, readonly Message[]>,
): number {
  let bytes = 0;
  let contents = 0;
  for (const part of parts) {
    if ('template' in part) {
      const length = part.template.bytes(texts);
      bytes += length;
      if (length > 0) contents += 1;
    } else {
      for (const { content } of placeholders.get(part.placeholder) ?? []) {
        bytes += Buffer.byteLength(content);
        contents += 1;
      }
    }
  }
  return bytes + BLANK_LINE.length * (contents - 1);
}

function compileAssembly(snapshot: Snapshot): CompiledBundle['assemble'] {
  const sections = snapshot.sections.map((section, index): Part => {
    if ('placeholder' in section) return section;
    return { section: index, role: section.role, template: compileTemplate(section.syntax, section.content) };
  });
  const system = systemParts(snapshot, sections);
  const others = sections.filter((part) => 'placeholder' in part || part.role !== 'SYSTEM');
  const parts = [...system, ...others];

  return (texts, placeholders) => {
    const bytes = measure(parts, texts, placeholders);
    if (bytes > MAX_RENDERED_BYTES) throw new RenderedTooLarge(bytes, MAX_RENDERED_BYTES);

    const emptySections: number[] = [];
    const render = ({ section, template }: TemplatePart): string => {
      const content = template.render(texts);
      if (content === '' && section !== undefined) emptySections.push(section);
      return content;
    };
    const messages: Message[] = [];
    const systemContent = system.map(render).filter((content) => content !== '').join(BLANK_LINE);
    if (systemContent !== '') messages.push({ role: 'SYSTEM', content: systemContent });
    for (const part of others) {
      if ('template' in part) {
        const content = render(part);
        if (content !== '') messages.push({ role: part.role, content });
      } else {
        for (const message of placeholders.get(part.placeholder) ?? []) messages.push(message);
      }
    }
    const text = messages.map(({ content }) => content).join(BLANK_LINE);
    return { messages, text, emptySections: emptySections.toSorted((a, b) => a - b) };
  };
}

/** Compiles a snapshot's document, whose hash is not checked again. */
export function compileBundle(document: Document): CompiledBundle {
  const snapshot = parseSnapshot(document.text);
  const variables = compileVariables(snapshot.variables);
  const placeholders = snapshot.sections.flatMap((section) => ('placeholder' in section ? [section.placeholder] : []));
  return Object.freeze({
    bundleHash: document.hash,
    personalityHash: personalityHash(snapshot),
    constraintsHash: constraintsHash(snapshot),
    snapshot,
    placeholders: Object.freeze(placeholders),
    variables,
    bytes: FIXED_BYTES + document.text.length * BYTES_PER_CHARACTER + variables.bytes,
    assemble: compileAssembly(snapshot),
  });
}

/** Hash of the merged values by name. */
export function variablesHash(values: JsonObject): string {
  return documentOf(values).hash;
}

function plainMessages(messages: readonly Message[]): JsonObject[] {
  return messages.map(({ role, content }) => ({ role, content }));
}

/**
 * Hash of the messages by placeholder; placeholders without messages are left out.
 * @param placeholders those that the bundle names
 */
export function placeholdersHash(placeholders: ReadonlyMap<string, readonly Message[]>): string {
  const used = [...placeholders].filter(([, messages]) => messages.length > 0);
  return documentOf(Object.fromEntries(used.map(([name, messages]) => [name, plainMessages(messages)]))).hash;
}

/** Hash of the rendered messages, roles included. */
export function messagesHash(messages: readonly Message[]): string {
  return documentOf(plainMessages(messages)).hash;
}

/** Hash of the rendered text. */
export function renderedHash(text: string): string {
  return sha256(text);
}
