import { NotFound, Violations } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { MAX_ASKED_ID_CHARACTERS, MAX_CALLER_CHARACTERS } from '../domain/limits.ts';
import { ROOT_TENANT } from '../domain/tenant.ts';
import { checkLength } from '../domain/text.ts';
import { checkLabels } from './render-input.ts';
import { replayReceipt, replaySubject, type ReplayResult } from './replay.ts';
import type { Stores, WriteTransaction } from './stores.ts';
import type { AuditHeads, ReplayProgress, TrailJobs, VerificationProgress } from './trail-jobs.ts';
import type {
  CapturedInputs,
  ChainedReceipt,
  ChangeFilter,
  ChangeRecord,
  ErasureFilter,
  ReceiptFilter,
  ReceiptsUnderWay,
} from './trail.ts';

/** The form of every render_id. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** How long a reader of receipts waits for those of this replica that are not in the chain yet. */
const UNDER_WAY_WAIT_MS = 2_000;

/** What the service needs of the rest. */
export interface AuditParts {
  readonly stores: Stores;
  readonly underWay: ReceiptsUnderWay;
  readonly jobs: TrailJobs;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Reads the trail that every write and every render leaves, replays renders, and erases captured values (spec section
 * 3). Whoever reads receipts finds those that this replica wrote before.
 */
export class AuditService {
  readonly #stores: Stores;
  readonly #underWay: ReceiptsUnderWay;
  readonly #jobs: TrailJobs;
  readonly #now: () => number;

  constructor({ stores, underWay, jobs, now }: AuditParts) {
    this.#stores = stores;
    this.#underWay = underWay;
    this.#jobs = jobs;
    this.#now = now;
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
  async listReceipts(filter: ReceiptFilter, before: string, limit: number): Promise<ChainedReceipt[]> {
    await this.#settled();
    return this.#stores.receipts.list(filter, before, limit);
  }

  /** @throws NotFound */
  async getReceipt(renderId: string): Promise<{ receipt: ChainedReceipt; inputs: CapturedInputs | undefined }> {
    if (!UUID.test(renderId)) throw new NotFound('receipt', renderId);
    await this.#settled();
    const receipt = await this.#stores.receipts.find(renderId);
    if (receipt === undefined) throw new NotFound('receipt', renderId);
    return { receipt, inputs: await this.#stores.receipts.findInputs(renderId) };
  }

  /**
   * Renders again from the receipt's snapshot. Inputs are taken from those supplied, else those captured, and only if
   * they have the hash that the receipt holds. @throws NotFound
   */
  async replay(renderId: string, supplied: CapturedInputs | undefined): Promise<ReplayResult> {
    const { receipt, inputs } = await this.getReceipt(renderId);
    const subject = replaySubject(receipt, await this.#stores.documents.find(receipt.bundleHash));
    return replayReceipt(receipt, subject, [supplied, inputs]);
  }

  /** Replays all receipts that the filter names. @throws Unavailable */
  async *replayAll(filter: ReceiptFilter, signal: AbortSignal): AsyncGenerator<ReplayProgress> {
    await this.#settled();
    yield* this.#jobs.replay({ ...filter, endTime: filter.endTime ?? new Date(this.#now()) }, signal);
  }

  /** Verifies the whole trail. @param checkpoint what it must lead through @throws Unavailable */
  async *verify(checkpoint: AuditHeads | undefined, signal: AbortSignal): AsyncGenerator<VerificationProgress> {
    await this.#settled();
    yield* this.#jobs.verify(checkpoint, signal);
  }

  /**
   * Erases the values that were captured of renders up to now. @throws InvalidInput as `checkErasure` says
   * @returns of how many renders, and the seq of the change
   */
  async eraseInputs(tx: WriteTransaction, filter: ErasureFilter): Promise<{ erased: number; seq: number }> {
    const violations = new Violations();
    checkErasure(violations, filter);
    violations.throwIfAny();
    const { tenant, endTime } = filter;
    const before = new Date(Math.min(endTime?.getTime() ?? Infinity, this.#now()));
    const erased = await tx.eraseInputs(filter, before);
    const seq = await tx.appendChange({
      action: 'ERASE',
      tenant: tenant || ROOT_TENANT,
      entityKind: 'RECEIPT',
      entityId: '',
      beforeHash: '',
      afterHash: '',
      detail: { ...erasureDetail(filter), before: before.toISOString(), erased },
    });
    await tx.insertErasure(seq, filter, before);
    return { erased, seq };
  }

  #settled(): Promise<void> {
    return this.#underWay.settled(this.#now() + UNDER_WAY_WAIT_MS);
  }

  async #text(hash: string): Promise<string> {
    return hash === '' ? '' : (await this.#stores.documents.find(hash))!;
  }
}

/**
 * What may be erased: not all renders at once. The filter becomes part of the change log for ever, so it is bounded as
 * what it is compared with; a tenant need not have the form of an id, since a render may ask for any.
 */
export function checkErasure(violations: Violations, filter: ErasureFilter): void {
  const { tenant, caller, labels, startTime, endTime } = filter;
  if (!caller && Object.keys(labels).length === 0 && !startTime && !endTime) {
    violations.add('labels', 'REQUIRED', 'name at least one of caller, labels, start_time and end_time');
  }
  checkLength(violations, 'tenant', tenant, MAX_ASKED_ID_CHARACTERS);
  checkLength(violations, 'caller', caller, MAX_CALLER_CHARACTERS);
  checkLabels(violations, labels);
}

function erasureDetail({ tenant, caller, labels, startTime }: ErasureFilter): JsonObject {
  return {
    ...(tenant && { tenant }),
    ...(caller && { caller }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(startTime && { from: startTime.toISOString() }),
  };
}
