/** One replay: a render again, from its snapshot and from inputs of which the receipt holds the hashes. */
import { rendererOf, type Assembled, type CompiledBundle, type Message } from '../domain/assembly.ts';
import { documentOf, sha256 } from '../domain/document.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { CapturedInputs, ReceiptRecord } from './trail.ts';

export const REPLAY_OUTCOMES = ['MATCH', 'MISMATCH', 'INPUT_MISSING', 'RENDERER_UNKNOWN'] as const;
export type ReplayOutcome = (typeof REPLAY_OUTCOMES)[number];

export interface ReplayResult {
  readonly outcome: ReplayOutcome;
  readonly expectedHash: string;
  /** Empty unless it was rendered. */
  readonly actualHash: string;
  /** Empty unless it was rendered. */
  readonly text: string;
  readonly missingInputs: readonly string[];
}

/** What a receipt renders again: its snapshot as its renderer_version compiles it, a mere text, or why nothing. */
export type ReplaySubject = CompiledBundle | 'TEXT' | 'RENDERER_UNKNOWN' | 'SNAPSHOT_MISSING';

/** Inputs that may be those of the render, the likeliest first. They may be of any form: nobody has checked them. */
type Candidates = readonly (CapturedInputs | undefined)[];

/** @param text the document that is stored under the receipt's bundle_hash; undefined: none is */
export function replaySubject(receipt: ReceiptRecord, text: string | undefined): ReplaySubject {
  const { bundleHash: hash, rendererVersion } = receipt;
  const renderer = rendererOf(rendererVersion);
  if (renderer === undefined) return 'RENDERER_UNKNOWN';
  if (hash === '') return 'TEXT';
  return text !== undefined && sha256(text) === hash ? renderer.compile({ hash, text }) : 'SNAPSHOT_MISSING';
}

/** Replays a render; inputs are used only if they have the hashes that the receipt holds. */
export function replayReceipt(receipt: ReceiptRecord, subject: ReplaySubject, candidates: Candidates): ReplayResult {
  if (subject === 'RENDERER_UNKNOWN') return unrendered(receipt, 'RENDERER_UNKNOWN');
  if (subject === 'SNAPSHOT_MISSING') return unrendered(receipt, 'INPUT_MISSING', ['snapshot']);
  return subject === 'TEXT' ? replayText(receipt, candidates) : replayBundle(receipt, subject, candidates);
}

/** Replays a render that no bundle answered. */
function replayText(receipt: ReceiptRecord, candidates: Candidates): ReplayResult {
  const texts = candidates.map((inputs) => inputs?.fallbackText);
  const text = texts.find((each) => typeof each === 'string' && sha256(each) === receipt.renderedHash);
  if (text === undefined) return unrendered(receipt, 'INPUT_MISSING', ['fallback_text']);
  return compare(receipt, { text, messages: [{ role: 'SYSTEM', content: text }] });
}

function replayBundle(receipt: ReceiptRecord, subject: CompiledBundle, candidates: Candidates): ReplayResult {
  const values = withHash(receipt.variablesHash, candidates.map((inputs) => inputs?.variables));
  const named = candidates.flatMap((inputs) => [inputs?.placeholders, namedBy(subject, inputs?.placeholders)]);
  const placeholders = withHash(receipt.placeholdersHash, named);
  if (values === undefined || placeholders === undefined) {
    const missing = [...(values ? [] : ['variables']), ...(placeholders ? [] : ['placeholders'])];
    return unrendered(receipt, 'INPUT_MISSING', missing);
  }
  const byName = new Map(Object.entries(placeholders as unknown as Record<string, readonly Message[]>));
  return compare(receipt, subject.assemble(subject.variables.resolve({}, values), byName));
}

/** The first with the hash; a render that was given nothing needs none of them. */
function withHash<T extends Json>(hash: string, candidates: readonly (T | undefined)[]): T | JsonObject | undefined {
  for (const candidate of candidates) {
    if (candidate !== undefined && documentOf(candidate).hash === hash) return candidate;
  }
  return documentOf({}).hash === hash ? {} : undefined;
}

/** The placeholders that count: those that the bundle names and that have messages. */
function namedBy({ placeholders: names }: CompiledBundle, given: Json | undefined): JsonObject {
  const counts = ([name, messages]: [string, Json]): boolean =>
    names.includes(name) && !(Array.isArray(messages) && messages.length === 0);
  return Object.fromEntries(Object.entries((given ?? {}) as JsonObject).filter(counts));
}

/** Compares hashes as the receipt's renderer_version makes them; there is no subject of one that is not known. */
function compare(receipt: ReceiptRecord, rendered: Pick<Assembled, 'messages' | 'text'>): ReplayResult {
  const { renderedHash, messagesHash } = rendererOf(receipt.rendererVersion)!.hashesOf(rendered);
  const same = renderedHash === receipt.renderedHash && messagesHash === receipt.messagesHash;
  const outcome = same ? 'MATCH' : 'MISMATCH';
  const { text } = rendered;
  return { outcome, expectedHash: receipt.renderedHash, actualHash: renderedHash, text, missingInputs: [] };
}

function unrendered(
  receipt: ReceiptRecord,
  outcome: 'INPUT_MISSING' | 'RENDERER_UNKNOWN',
  missingInputs: readonly string[] = [],
): ReplayResult {
  return { outcome, expectedHash: receipt.renderedHash, actualHash: '', text: '', missingInputs };
}
