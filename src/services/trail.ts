/**
 * What the trail holds, and what the services need of those who keep it. Times are Dates in UTC with millisecond
 * precision; hashes are lower-case hex SHA-256. Lists are keyset-paginated as in `stores.ts`.
 */
import type { Json, JsonObject } from '../domain/json.ts';
import type { CapturePolicy, PromptType } from '../domain/prompt-type.ts';

export const ENTITY_KINDS = ['TENANT', 'TEMPLATE', 'BUNDLE', 'ACTIVATION', 'RECEIPT'] as const;
export type EntityKind = (typeof ENTITY_KINDS)[number];

export const CHANGE_ACTIONS = [
  'CREATE',
  'UPDATE',
  'PUBLISH',
  'ARCHIVE',
  'RELEASE',
  'ROLLBACK',
  'WITHDRAW',
  'ACTIVATE',
  'DEACTIVATE',
  'ERASE',
  'PRUNE',
] as const;
export type ChangeAction = (typeof CHANGE_ACTIONS)[number];

/** What a use case says of a write; the transaction adds seq, time, actor and chain. */
export interface ChangeEntry {
  readonly action: ChangeAction;
  readonly tenant: string;
  readonly entityKind: EntityKind;
  readonly entityId: string;
  /** Empty: there was none. */
  readonly beforeHash: string;
  /** Empty: there is none. */
  readonly afterHash: string;
  /** The pointer effects; what `domain/route-map.ts` applies. */
  readonly detail: JsonObject;
}

export interface ChangeRecord extends ChangeEntry {
  readonly seq: number;
  readonly time: Date;
  readonly actor: string;
  readonly requestId: string;
  readonly traceId: string;
  readonly chainHash: string;
}

export interface ChangeFilter {
  readonly tenant: string;
  readonly entityKind: EntityKind | undefined;
  readonly entityId: string;
  readonly action: ChangeAction | undefined;
  readonly actor: string;
  /** Of the document before or after. */
  readonly hash: string;
  readonly startTime: Date | undefined;
  readonly endTime: Date | undefined;
}

export interface ChangeStore {
  find(seq: number): Promise<ChangeRecord | undefined>;
  /**
   * The latest first; empty filter members mean any; `before` is the seq of the last item of the page before (0: from
   * the start).
   */
  list(filter: ChangeFilter, before: number, limit: number): Promise<ChangeRecord[]>;
}

/** The record of one render, without values. */
export interface ReceiptRecord {
  readonly renderId: string;
  readonly time: Date;
  readonly durationUs: number;
  readonly requestedTenant: string;
  readonly requestedBundleId: string;
  readonly requestedVersion: string;
  /** Empty: by bundle. */
  readonly requestedType: PromptType | '';
  /** What was kept of the values when this was recorded. */
  readonly capturePolicy: CapturePolicy;
  readonly tenant: string;
  readonly bundleId: string;
  readonly version: string;
  readonly channel: string;
  readonly revision: number;
  readonly seq: number;
  readonly source: RenderSource;
  readonly renderedHash: string;
  readonly bundleHash: string;
  readonly personalityHash: string;
  readonly constraintsHash: string;
  readonly variablesHash: string;
  readonly placeholdersHash: string;
  readonly messagesHash: string;
  readonly rendererVersion: number;
  readonly caller: string;
  readonly requestId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly traceId: string;
}

export const RENDER_SOURCES = ['FALLBACK', 'STALE', 'PINNED', 'INHERITED', 'ACTIVE'] as const;
export type RenderSource = (typeof RENDER_SOURCES)[number];

/** A receipt as it stands in the chain. */
export interface ChainedReceipt extends ReceiptRecord {
  readonly receiptHash: string;
  readonly batch: number;
}

/** The values of a render that the tenant's policy keeps; absent members were not kept. */
export interface CapturedInputs {
  readonly variables?: JsonObject;
  readonly placeholders?: Json;
  readonly fallbackText?: string;
}

export interface ReceiptFilter {
  /** That asked for the render. */
  readonly tenant: string;
  readonly bundleHash: string;
  readonly personalityHash: string;
  readonly caller: string;
  readonly requestId: string;
  /** Whose bundle answered. */
  readonly bundleId: string;
  /** All of them. */
  readonly labels: Readonly<Record<string, string>>;
  /** By the time in the render_id, as endTime. */
  readonly startTime: Date | undefined;
  readonly endTime: Date | undefined;
}

/** Of which renders the captured values are erased; empty members mean any. */
export type ErasureFilter = Pick<ReceiptFilter, 'tenant' | 'caller' | 'labels' | 'startTime' | 'endTime'>;

/** A receipt with what is still held of its values. */
export interface ReceiptWithInputs {
  readonly receipt: ChainedReceipt;
  /** Undefined: none was captured, or it was erased. */
  readonly inputs: CapturedInputs | undefined;
}

export interface ReceiptStore {
  find(renderId: string): Promise<ChainedReceipt | undefined>;
  /** Undefined: none was captured, or it was erased. */
  findInputs(renderId: string): Promise<CapturedInputs | undefined>;
  /**
   * By render_id, descending; empty filter members mean any; `before` is the render_id of the last item of the page
   * before ('': from the start).
   */
  list(filter: ReceiptFilter, before: string, limit: number): Promise<ChainedReceipt[]>;
  /** By render_id, ascending; `after` is the render_id of the last item of the page before ('': from the start). */
  listWithInputs(filter: ReceiptFilter, after: string, limit: number): Promise<ReceiptWithInputs[]>;
  count(filter: ReceiptFilter): Promise<number>;
}

/** Keeps receipts. */
export interface ReceiptSink {
  /**
   * Resolves once the receipt is kept as the level of acknowledgement demands.
   * @param inputs JSON of CapturedInputs, in one line; undefined: none was captured
   * @param until milliseconds since the epoch
   * @throws ReceiptNotKept if it could not be kept so in time; the caller decides what that means
   */
  write(receipt: ReceiptRecord, inputs: string | undefined, until: number): Promise<void>;
}

/** A receipt is not kept as was demanded. */
export class ReceiptNotKept extends Error {
  /** It waits in the journal, and will be in the chain once the database takes it. */
  readonly journaled: boolean;

  constructor(message: string, journaled: boolean, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReceiptNotKept';
    this.journaled = journaled;
  }
}

/** A receipt as it leaves the journal. */
export interface JournaledReceipt {
  readonly receipt: ReceiptRecord;
  readonly inputs: CapturedInputs | undefined;
}

/** The receipts of this replica that are on their way into the chain. */
export interface ReceiptsUnderWay {
  /**
   * Resolves once every receipt that this replica journaled before the call is in the chain, or the time is over.
   * Never rejects.
   * @param until milliseconds since the epoch
   */
  settled(until: number): Promise<void>;
}
