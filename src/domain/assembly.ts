/**
 * Assembly: how a snapshot and its inputs become messages and text (spec section 3, "Assembly"). The same snapshot and
 * inputs give the same bytes everywhere; whatever changes them or their hashes raises RENDERER_VERSION.
 */
import { constraintInstructions } from './constraint.ts';
import { type Document, documentOf, documentOfText, sha256 } from './document.ts';
import type { JsonObject } from './json.ts';
import { liquidUnits } from './liquid-syntax.ts';
import type { Role } from './prompt-type.ts';
import { constraintsHash, parseSnapshot, personalityHash, type Snapshot } from './snapshot.ts';
import { type CompiledTemplate, compileTemplate, compileLiteral } from './template-content.ts';
import { TemplateValues } from './template-values.ts';
import { type CompiledVariables, type ResolvedVariables, compileVariables } from './variables.ts';

/** The semantics of assembly and of its hashes; each receipt records it. 2 assembles as 1 did, and hashes otherwise. */
export const RENDERER_VERSION = 2;

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

/** Hashes of what was rendered. */
export interface RenderedHashes {
  /** Of the text. */
  readonly renderedHash: string;
  /** Of the messages, roles included. */
  readonly messagesHash: string;
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

/** Measured: what a compiled bundle of 8 variables takes besides its text and patterns. */
const FIXED_BYTES = 2560;
/** V8 holds text in Latin-1; one character beyond makes it two bytes for each. */
const BYTES_PER_CHARACTER = 1;
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

/** The parts in the order in which they are rendered: those of the system message, then the others. */
function compileParts(snapshot: Snapshot): {
  readonly system: readonly TemplatePart[];
  readonly others: readonly Part[];
} {
  const untrusted = untrustedNames(snapshot);
  const sections = snapshot.sections.map((section, index): Part => {
    if ('placeholder' in section) return section;
    const template = compileTemplate(section.syntax, section.content, untrusted, `sections[${index}]`);
    return { section: index, role: section.role, template };
  });
  return {
    system: systemParts(snapshot, sections, untrusted),
    others: sections.filter((part) => 'placeholder' in part || part.role !== 'SYSTEM'),
  };
}

function compileAssembly(snapshot: Snapshot): CompiledBundle['assemble'] {
  // Apart from what compiles them, which would be held for as long as the bundle is.
  const { system, others } = compileParts(snapshot);

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

/** Renders as one renderer_version did. */
export interface Renderer {
  readonly compile: (document: Document) => CompiledBundle;
  readonly hashesOf: (rendered: Pick<Assembled, 'messages' | 'text'>) => RenderedHashes;
}

/** Every renderer_version there was; a change of semantics adds one, and keeps those before (spec section 3). */
const RENDERERS: ReadonlyMap<number, Renderer> = new Map([
  [1, { compile: compileBundle, hashesOf: hashesOfVersion1 }],
  [RENDERER_VERSION, { compile: compileBundle, hashesOf }],
]);

/** The renderer of a version; undefined: a later release rendered with it. */
export function rendererOf(version: number): Renderer | undefined {
  return RENDERERS.get(version);
}

const NO_VALUES = documentOf({});

/** The merged values by name; its hash is the `variables_hash`. @param values undefined: there are none */
export function variablesDocument(values: Pick<ResolvedVariables, 'json'> | undefined): Document {
  return values === undefined ? NO_VALUES : documentOfText(values.json);
}

/** The `variables_hash` of merged values. */
export function variablesHash(values: JsonObject): string {
  return documentOf(values).hash;
}

/** Members in canonical order. */
function plainMessages(messages: readonly Message[]): JsonObject[] {
  return messages.map(({ role, content }) => ({ content, role }));
}

const NO_PLACEHOLDERS = documentOf({});

/**
 * The messages by placeholder, those without messages left out; its hash is the `placeholders_hash`.
 * @param placeholders those that the bundle names
 */
export function placeholdersDocument(placeholders: ReadonlyMap<string, readonly Message[]>): Document {
  if (placeholders.size === 0) return NO_PLACEHOLDERS;
  const used = [...placeholders].filter(([, messages]) => messages.length > 0);
  return documentOf(Object.fromEntries(used.map(([name, messages]) => [name, plainMessages(messages)])));
}

export function placeholdersHash(placeholders: ReadonlyMap<string, readonly Message[]>): string {
  return placeholdersDocument(placeholders).hash;
}

/**
 * Hashes of what was rendered. Messages are hashed by the hashes of their contents, so that the text of a prompt of one
 * message is hashed once. What is hashed is canonical JSON as it is written: hashes and roles need no escaping.
 */
export function hashesOf({ messages, text }: Pick<Assembled, 'messages' | 'text'>): RenderedHashes {
  const renderedHash = sha256(text);
  const listed = messages.map(({ role, content }) => {
    const contentHash = messages.length === 1 ? renderedHash : sha256(content);
    return `{"content_hash":"${contentHash}","role":"${role}"}`;
  });
  return { renderedHash, messagesHash: sha256(`[${listed.join(',')}]`) };
}

/** Version 1 hashed the messages as they are. */
function hashesOfVersion1({ messages, text }: Pick<Assembled, 'messages' | 'text'>): RenderedHashes {
  return { renderedHash: sha256(text), messagesHash: documentOf(plainMessages(messages)).hash };
}
