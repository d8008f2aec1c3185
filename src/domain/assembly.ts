/**
 * Assembly: how a snapshot and its inputs become messages and text (spec section 3, "Assembly"). The same snapshot and
 * inputs give the same bytes everywhere; whatever changes them raises RENDERER_VERSION.
 */
import { constraintInstructions } from './constraint.ts';
import { type Document, documentOf, sha256 } from './document.ts';
import type { JsonObject } from './json.ts';
import { liquidUnits } from './liquid-syntax.ts';
import type { Role } from './prompt-type.ts';
import { constraintsHash, parseSnapshot, personalityHash, type Snapshot } from './snapshot.ts';
import { type CompiledTemplate, compileTemplate, compileLiteral } from './template-content.ts';
import { TemplateValues } from './template-values.ts';
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
   * @param resolved the values, and what is inserted, by variable; a name without a text inserts nothing
   * @param placeholders messages by placeholder; names that the bundle does not have are not looked at
   * @throws RenderedTooLarge before anything of that size is built, RenderTooCostly; InvalidInput if a value does not
   * have a member that a LIQUID template reads
   */
  assemble(
    resolved: { readonly values: JsonObject; readonly texts: ReadonlyMap<string, string> },
    placeholders: ReadonlyMap<string, readonly Message[]>,
  ): Assembled;
}

const BLANK_LINE = '\n\n';

/** Measured: what a compiled bundle takes besides its text and patterns. */
const FIXED_BYTES = 4096;
const BYTES_PER_CHARACTER = 2;
const BYTES_PER_LIQUID_UNIT = 128;

/** A template of a bundle; the personality and the constraint instructions are no section. */
interface TemplatePart {
  readonly section: number | undefined;
  readonly role: Role;
  readonly template: CompiledTemplate;
}

type Part = TemplatePart | { readonly placeholder: string };

/** The parts of the one system message: the personality, the SYSTEM sections, the constraint instructions. */
function systemParts(
  { personality, constraints }: Snapshot,
  sections: readonly Part[],
  untrusted: ReadonlySet<string>,
): TemplatePart[] {
  const outside = (template: CompiledTemplate): TemplatePart => ({ section: undefined, role: 'SYSTEM', template });
  return [
    ...(personality
      ? [outside(compileTemplate(personality.syntax, personality.content, untrusted, 'the personality'))]
      : []),
    ...sections.filter((part): part is TemplatePart => 'template' in part && part.role === 'SYSTEM'),
    outside(compileLiteral(constraintInstructions(constraints))),
  ];
}

function untrustedNames({ variables }: Snapshot): Set<string> {
  return new Set(Object.keys(variables).filter((name) => variables[name]!.untrusted));
}

function compileAssembly(snapshot: Snapshot): CompiledBundle['assemble'] {
  const untrusted = untrustedNames(snapshot);
  const sections = snapshot.sections.map((section, index): Part => {
    if ('placeholder' in section) return section;
    const template = compileTemplate(section.syntax, section.content, untrusted, `sections[${index}]`);
    return { section: index, role: section.role, template };
  });
  const system = systemParts(snapshot, sections, untrusted);
  const others = sections.filter((part) => 'placeholder' in part || part.role !== 'SYSTEM');

  return (resolved, placeholders) => {
    const values = new TemplateValues(resolved);
    const { budget } = values;
    const emptySections: number[] = [];
    const render = ({ section, template }: TemplatePart): string => {
      const content = template(values);
      if (content === '' && section !== undefined) emptySections.push(section);
      return content;
    };
    const joined = (contents: readonly string[]): string => {
      budget.takeBytes(BLANK_LINE.length * Math.max(0, contents.length - 1));
      return contents.join(BLANK_LINE);
    };
    const messages: Message[] = [];
    const systemContent = joined(system.map(render).filter((content) => content !== ''));
    if (systemContent !== '') messages.push({ role: 'SYSTEM', content: systemContent });
    for (const part of others) {
      if ('template' in part) {
        const content = render(part);
        if (content !== '') messages.push({ role: part.role, content });
      } else {
        for (const message of placeholders.get(part.placeholder) ?? []) {
          budget.takeBytes(Buffer.byteLength(message.content));
          messages.push(message);
        }
      }
    }
    const text = joined(messages.map(({ content }) => content));
    return { messages, text, emptySections: emptySections.toSorted((a, b) => a - b) };
  };
}

function liquidUnitsOf({ personality, sections }: Snapshot): number {
  return [personality, ...sections].reduce((sum, part) => {
    return part && 'syntax' in part && part.syntax === 'LIQUID' ? sum + liquidUnits(part.content) : sum;
  }, 0);
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
    bytes:
      FIXED_BYTES +
      document.text.length * BYTES_PER_CHARACTER +
      liquidUnitsOf(snapshot) * BYTES_PER_LIQUID_UNIT +
      variables.bytes,
    assemble: compileAssembly(snapshot),
  });
}

/** Compiles a snapshot so that it renders as one renderer_version did. */
export type Renderer = (document: Document) => CompiledBundle;

/** Every renderer_version there was; a change of assembly semantics adds one, and keeps those before (spec section 3). */
const RENDERERS: ReadonlyMap<number, Renderer> = new Map([[1, compileBundle]]);

/** The renderer of a version; undefined: a later release rendered with it. */
export function rendererOf(version: number): Renderer | undefined {
  return RENDERERS.get(version);
}

/** The merged values by name; its hash is the `variables_hash`. */
export function variablesDocument(values: JsonObject): Document {
  return documentOf(values);
}

export function variablesHash(values: JsonObject): string {
  return variablesDocument(values).hash;
}

function plainMessages(messages: readonly Message[]): JsonObject[] {
  return messages.map(({ role, content }) => ({ role, content }));
}

/**
 * The messages by placeholder, those without messages left out; its hash is the `placeholders_hash`.
 * @param placeholders those that the bundle names
 */
export function placeholdersDocument(placeholders: ReadonlyMap<string, readonly Message[]>): Document {
  const used = [...placeholders].filter(([, messages]) => messages.length > 0);
  return documentOf(Object.fromEntries(used.map(([name, messages]) => [name, plainMessages(messages)])));
}

export function placeholdersHash(placeholders: ReadonlyMap<string, readonly Message[]>): string {
  return placeholdersDocument(placeholders).hash;
}

/** Hash of the rendered messages, roles included. */
export function messagesHash(messages: readonly Message[]): string {
  return documentOf(plainMessages(messages)).hash;
}

/** Hash of the rendered text. */
export function renderedHash(text: string): string {
  return sha256(text);
}
