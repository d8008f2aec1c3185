import {
  compileBundle,
  messagesHash,
  placeholdersHash,
  renderedHash,
  variablesHash,
  type Message,
} from '../domain/assembly.ts';
import { NotFound } from '../domain/errors.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type {
  CapturedInputs,
  ChainedReceipt,
  ChangeFilter,
  ChangeRecord,
  ReceiptFilter,
  Stores,
} from './stores.ts';

/** The form of every render_id. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export type ReplayOutcome = 'MATCH' | 'MISMATCH' | 'INPUT_MISSING';

export interface ReplayResult {
  readonly outcome: ReplayOutcome;
  readonly expectedHash: string;
  /** Empty where inputs are missing. */
  readonly actualHash: string;
  /** Empty where inputs are missing. */
  readonly text: string;
  readonly missingInputs: readonly string[];
}

/** Reads the trail that every write and every render leaves, and replays renders (spec section 3). */
export class AuditService {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /** The latest first. */
  listChanges(filter: ChangeFilter, before: number, limit: number): Promise<ChangeRecord[]> {
    return this.#stores.changes.list(filter, before, limit);
  }

  /** @throws NotFound */
  async getChange(seq: number): Promise<{ change: ChangeRecord; beforeJson: string; afterJson: string }> {
    const change = await this.#stores.changes.find(seq);
    if (change === undefined) throw new NotFound('change', String(seq));
    const [beforeJson, afterJson] = await Promise.all([this.#text(change.beforeHash), this.#text(change.afterHash)]);
    return { change, beforeJson, afterJson };
  }

  /** The latest first. */
  listReceipts(filter: ReceiptFilter, before: string, limit: number): Promise<ChainedReceipt[]> {
    return this.#stores.receipts.list(filter, before, limit);
  }

  /** @throws NotFound */
  async getReceipt(renderId: string): Promise<{ receipt: ChainedReceipt; inputs: CapturedInputs | undefined }> {
    const receipt = UUID.test(renderId) ? await this.#stores.receipts.find(renderId) : undefined;
    if (receipt === undefined) throw new NotFound('receipt', renderId);
    return { receipt, inputs: await this.#stores.receipts.findInputs(renderId) };
  }

  /**
   * Renders again from the receipt's snapshot. Inputs are taken from those supplied, else those captured, and only if
   * they have the hash that the receipt holds. @throws NotFound
   */
  async replay(renderId: string, supplied: CapturedInputs | undefined): Promise<ReplayResult> {
    const { receipt, inputs } = await this.getReceipt(renderId);
    return receipt.bundleHash === ''
      ? replayText(receipt, [supplied?.fallbackText, inputs?.fallbackText])
      : replayBundle(receipt, await this.#text(receipt.bundleHash), [supplied, inputs]);
  }

  async #text(hash: string): Promise<string> {
    return hash === '' ? '' : (await this.#stores.documents.find(hash))!;
  }
}

function replayText(receipt: ChainedReceipt, candidates: readonly (string | undefined)[]): ReplayResult {
  const text = candidates.find((candidate) => candidate && renderedHash(candidate) === receipt.renderedHash);
  if (text === undefined) return inputMissing(receipt, ['fallback_text']);
  return compare(receipt, text, [{ role: 'SYSTEM', content: text }]);
}

function replayBundle(
  receipt: ChainedReceipt,
  snapshot: string,
  candidates: readonly (CapturedInputs | undefined)[],
): ReplayResult {
  const values = [...candidates.map((inputs) => inputs?.variables), {}].find(
    (candidate): candidate is JsonObject =>
      candidate !== undefined && variablesHash(candidate) === receipt.variablesHash,
  );
  const placeholders = [...candidates.map((inputs) => messagesByName(inputs?.placeholders)), new Map()].find(
    (candidate) => placeholdersHash(candidate) === receipt.placeholdersHash,
  );
  if (values === undefined || placeholders === undefined) {
    return inputMissing(receipt, [...(values ? [] : ['variables']), ...(placeholders ? [] : ['placeholders'])]);
  }
  const bundle = compileBundle({ hash: receipt.bundleHash, text: snapshot });
  const { text, messages } = bundle.assemble(bundle.variables.resolve({}, values), placeholders);
  return compare(receipt, text, messages);
}

function compare(receipt: ChainedReceipt, text: string, messages: readonly Message[]): ReplayResult {
  const actualHash = renderedHash(text);
  const same = actualHash === receipt.renderedHash && messagesHash(messages) === receipt.messagesHash;
  const outcome = same ? 'MATCH' : 'MISMATCH';
  return { outcome, expectedHash: receipt.renderedHash, actualHash, text, missingInputs: [] };
}

function inputMissing(receipt: ChainedReceipt, missingInputs: readonly string[]): ReplayResult {
  return { outcome: 'INPUT_MISSING', expectedHash: receipt.renderedHash, actualHash: '', text: '', missingInputs };
}

/** Captured placeholders as the renderer takes them. */
function messagesByName(placeholders: Json | undefined): ReadonlyMap<string, readonly Message[]> {
  return new Map(Object.entries((placeholders ?? {}) as unknown as Record<string, readonly Message[]>));
}
