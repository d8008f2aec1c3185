/** Previews: what a prompt says with the values at hand, and everything that is to be known of it (spec section 3). */
import {
  type Assembled,
  type CompiledBundle,
  compileBundle,
  hashesOf,
  type Message,
  placeholdersHash,
  type RenderedHashes,
  variablesHash,
} from './assembly.ts';
import type { Document } from './document.ts';
import { InvalidInput, type Violation } from './errors.ts';
import type { JsonObject } from './json.ts';
import { repeatedInstructions } from './repetition.ts';
import type { Snapshot } from './snapshot.ts';
import { usedVariables } from './template-content.ts';
import { characters, cut, words } from './text.ts';
import {
  type InvalidVariable,
  type ResolvedVariables,
  type UntrustedVariable,
  untrustedVariables,
  variableViolations,
} from './variables.ts';

/** What a prompt is previewed with. Plain data: it passes between threads. */
export interface PreviewInputs {
  /** The tenant's values. */
  readonly brand: JsonObject;
  /** The request's values. */
  readonly variables: JsonObject;
  readonly placeholders: ReadonlyMap<string, readonly Message[]>;
}

/** Something in a prompt that its author should know of, though it renders. */
export interface PromptWarning {
  readonly code: 'SECTION_EMPTY' | 'PLACEHOLDER_UNKNOWN' | 'INSTRUCTION_REPEATED';
  /** What it is about: the field path of a section, a placeholder, what is said. */
  readonly subject: string;
  /** For people, in English. */
  readonly message: string;
}

/** What a preview shows of a prompt. Plain data: it passes between threads. */
export interface PreviewedPrompt {
  /** A variable without a usable value stands in it as `{name}`. Empty if the templates fail with these values. */
  readonly text: string;
  readonly messages: readonly Message[];
  /** Whether a render with these values succeeds. If not, the hashes of what it would come to are empty. */
  readonly renderable: boolean;
  readonly renderedHash: string;
  readonly bundleHash: string;
  readonly personalityHash: string;
  readonly constraintsHash: string;
  readonly variablesHash: string;
  readonly placeholdersHash: string;
  readonly messagesHash: string;
  readonly missingVariables: readonly string[];
  /** Variables that no template reads, and values that nothing declares; sorted. */
  readonly unusedVariables: readonly string[];
  /** An empty name: the values together. */
  readonly invalidVariables: readonly InvalidVariable[];
  /** By name. */
  readonly untrustedVariables: readonly UntrustedVariable[];
  readonly warnings: readonly PromptWarning[];
  readonly characters: number;
  readonly words: number;
}

/** Most repetitions that are told of. */
const MAX_REPETITIONS = 20;

/**
 * Renders a snapshot as far as its values allow. Missing and ill-typed values are reported, not thrown.
 * @throws RenderedTooLarge, RenderTooCostly
 */
export function previewPrompt(snapshot: Document, inputs: PreviewInputs): PreviewedPrompt {
  const bundle = compileBundle(snapshot);
  const resolved = bundle.variables.resolve(inputs.brand, inputs.variables);
  const placeholders = named(bundle, inputs.placeholders);
  const { assembled, problems } = assemble(bundle, resolved, placeholders);
  const { text, messages } = assembled;
  const renderable = variableViolations(resolved).length === 0 && problems.length === 0;
  return {
    text,
    messages,
    renderable,
    ...(renderable ? hashesOf(assembled) : NO_HASHES),
    bundleHash: bundle.bundleHash,
    personalityHash: bundle.personalityHash,
    constraintsHash: bundle.constraintsHash,
    variablesHash: renderable ? variablesHash(resolved.values) : '',
    placeholdersHash: placeholdersHash(placeholders),
    missingVariables: resolved.missing,
    unusedVariables: [...unusedIn(bundle.snapshot), ...resolved.undeclared].toSorted(),
    invalidVariables: [...together(resolved), ...resolved.invalid, ...problems],
    untrustedVariables: untrustedVariables(bundle.snapshot.variables, resolved),
    warnings: [
      ...assembled.emptySections.map(sectionEmpty),
      ...unknownPlaceholders(bundle, inputs.placeholders),
      ...repeatedInstructions(systemMessage(messages, placeholders)).slice(0, MAX_REPETITIONS).map(instructionRepeated),
    ],
    characters: charactersOf(text),
    words: words(text),
  };
}

/** Requests hold at most 128 combining marks in a row, but values may stand side by side. */
const MANY_MARKS = /\p{M}{1000}/u;

/** Bringing marks into the order of NFC takes the square of their number, and cannot be ended: so many are counted. */
function charactersOf(text: string): number {
  return MANY_MARKS.test(text) ? [...text].length : characters(text);
}

/** The messages for the placeholders that the bundle names. */
function named(bundle: CompiledBundle, sent: PreviewInputs['placeholders']): ReadonlyMap<string, readonly Message[]> {
  return new Map([...sent].filter(([name, messages]) => messages.length > 0 && bundle.placeholders.includes(name)));
}

const NOTHING: Assembled = { messages: [], text: '', emptySections: [] };
const NO_HASHES: RenderedHashes = { renderedHash: '', messagesHash: '' };

/** What the values come to, and why the templates fail with them. */
function assemble(
  bundle: CompiledBundle,
  { values, texts, missing, invalid }: ResolvedVariables,
  placeholders: ReadonlyMap<string, readonly Message[]>,
): { assembled: Assembled; problems: readonly InvalidVariable[] } {
  const shown = new Map(texts);
  for (const name of [...missing, ...invalid.map((problem) => problem.name)]) shown.set(name, `{${name}}`);
  try {
    return { assembled: bundle.assemble({ values, texts: shown }, placeholders), problems: [] };
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    return { assembled: NOTHING, problems: error.violations.map(invalidVariable) };
  }
}

function invalidVariable({ field, description }: Violation): InvalidVariable {
  return { name: field.slice('variables.'.length), message: description };
}

function together({ tooLarge }: ResolvedVariables): InvalidVariable[] {
  return tooLarge === undefined ? [] : [{ name: '', message: tooLarge }];
}

/** Declared variables that no part of the snapshot reads. */
function unusedIn({ personality, sections, variables }: Snapshot): string[] {
  const parts = [personality, ...sections];
  const used = new Set(
    parts.flatMap((part) => (part && 'content' in part ? [...usedVariables(part.syntax, part.content)] : [])),
  );
  return Object.keys(variables).filter((name) => !used.has(name));
}

function sectionEmpty(index: number): PromptWarning {
  const subject = `sections[${index}]`;
  return { code: 'SECTION_EMPTY', subject, message: `${subject} renders to nothing and is dropped` };
}

function unknownPlaceholders(bundle: CompiledBundle, sent: PreviewInputs['placeholders']): PromptWarning[] {
  return [...sent.keys()]
    .filter((name) => !bundle.placeholders.includes(name))
    .map((name) => {
      const message = `the prompt has no placeholder ${name}; its messages were ignored`;
      return { code: 'PLACEHOLDER_UNKNOWN', subject: name, message };
    });
}

/** What the templates and constraints say as the system; callers may send messages of that role too. */
function systemMessage(messages: readonly Message[], placeholders: ReadonlyMap<string, readonly Message[]>): string {
  const sent = new Set([...placeholders.values()].flat());
  return messages.find((message) => message.role === 'SYSTEM' && !sent.has(message))?.content ?? '';
}

function instructionRepeated(instruction: string): PromptWarning {
  const message = 'the system message says it more than once; once is enough';
  return { code: 'INSTRUCTION_REPEATED', subject: cut(instruction), message };
}
