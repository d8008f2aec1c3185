/**
 * What the services need of a database, as narrow contracts. `storage/` implements them on PostgreSQL; the same contract
 * tests run against every implementation.
 *
 * Times are Dates in UTC with millisecond precision. Hashes are lower-case hex SHA-256. Lists are keyset-paginated:
 * `after` is the key of the last item of the page before, `limit` the most items.
 */
import type { Document } from '../domain/document.ts';
import type { JsonObject } from '../domain/json.ts';
import type { CapturePolicy, PromptType } from '../domain/prompt-type.ts';
import type { ChangeEntry, ChangeStore, ErasureFilter, ReceiptStore } from './trail.ts';

/** The database notification of every write; its payload is the seq of the write's last change (spec section 4). */
export const CHANGE_NOTIFICATION = 'platen_change';

export interface TenantRecord {
  readonly tenant: string;
  /** Empty for the root. */
  readonly parent: string;
  readonly displayName: string;
  readonly variables: JsonObject;
  readonly capturePolicy: CapturePolicy;
  /** Days; 0: as the parent. */
  readonly receiptRetentionDays: number;
  readonly editVersion: number;
  readonly documentHash: string;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly updateActor: string;
}

/** A template or a bundle: one mutable draft under an id. */
export interface DraftRecord {
  readonly tenant: string;
  readonly id: string;
  readonly type: PromptType;
  readonly editVersion: number;
  /** The draft's document. */
  readonly draft: Document;
  /** The highest published version by semver precedence; empty: none. */
  readonly latestVersion: string;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly updateActor: string;
  readonly archiveTime: Date | undefined;
}

export interface TemplateVersionRecord {
  readonly tenant: string;
  readonly id: string;
  readonly version: string;
  readonly type: PromptType;
  /** The frozen draft document. */
  readonly document: Document;
  readonly editVersion: number;
  readonly createTime: Date;
  readonly createActor: string;
}

/** A template version that a bundle version was built from. */
export interface Pin {
  readonly tenant: string;
  readonly templateId: string;
  readonly version: string;
}

export interface BundleVersionRecord {
  readonly tenant: string;
  readonly id: string;
  readonly version: string;
  readonly type: PromptType;
  /** The draft document as it was. */
  readonly draft: Document;
  /** The snapshot; its hash is the bundle_hash. */
  readonly snapshot: Document;
  readonly personalityHash: string;
  readonly constraintsHash: string;
  /** The personality first if there is one, then the template sections in order. */
  readonly pins: readonly Pin[];
  readonly editVersion: number;
  readonly createTime: Date;
  readonly createActor: string;
}

export interface ReleaseTarget {
  readonly version: string;
  readonly bundleHash: string;
  /** Percent. */
  readonly weight: number;
}

export type ReleaseKind = 'RELEASE' | 'ROLLBACK' | 'WITHDRAW';

export interface ReleaseRecord {
  readonly tenant: string;
  readonly bundleId: string;
  readonly channel: string;
  readonly revision: number;
  readonly kind: ReleaseKind;
  readonly targets: readonly ReleaseTarget[];
  readonly originRevision: number;
  readonly seq: number;
  readonly createTime: Date;
  readonly createActor: string;
}

export interface ActivationRecord {
  readonly tenant: string;
  readonly type: PromptType;
  /** Empty: deactivated. */
  readonly bundleId: string;
  readonly revision: number;
  readonly seq: number;
  readonly updateTime: Date;
  readonly updateActor: string;
}

export interface TenantStore {
  find(tenant: string): Promise<TenantRecord | undefined>;
  /** By id, ascending. */
  list(after: string, limit: number): Promise<TenantRecord[]>;
  /** The tenant and its ancestors, nearest first; empty if the tenant is unknown. */
  lineage(tenant: string): Promise<string[]>;
  /** The tenant and all its descendants, in any order. */
  subtree(tenant: string): Promise<string[]>;
  /** The levels of its subtree, its own included; 0 if the tenant is unknown. */
  height(tenant: string): Promise<number>;
}

export interface TemplateStore {
  find(tenant: string, id: string): Promise<DraftRecord | undefined>;
  /** A tenant's own by id, ascending; `archived`: archived ones too. */
  list(
    tenant: string,
    filter: { type: PromptType | undefined; archived: boolean },
    after: string,
    limit: number,
  ): Promise<DraftRecord[]>;
  findVersion(tenant: string, id: string, version: string): Promise<TemplateVersionRecord | undefined>;
  /** The latest publication first; `after` is the position of the last item of the page before (0: from the start). */
  listVersions(tenant: string, id: string, after: number, limit: number): Promise<Positioned<TemplateVersionRecord>[]>;
  /** Every unarchived template with one of these ids in one of these tenants, with the semvers of its versions. */
  published(
    tenants: readonly string[],
    ids: readonly string[],
  ): Promise<{ tenant: string; id: string; versions: string[] }[]>;
}

/** A record with the key that a page goes on from. */
export interface Positioned<T> {
  readonly position: number;
  readonly record: T;
}

export interface BundleStore {
  find(tenant: string, id: string): Promise<DraftRecord | undefined>;
  /** A tenant's own by id, ascending; `archived`: archived ones too. */
  list(
    tenant: string,
    filter: { type: PromptType | undefined; archived: boolean },
    after: string,
    limit: number,
  ): Promise<DraftRecord[]>;
  findVersion(tenant: string, id: string, version: string): Promise<BundleVersionRecord | undefined>;
  /** The latest publication first; `after` is the position of the last item of the page before (0: from the start). */
  listVersions(tenant: string, id: string, after: number, limit: number): Promise<Positioned<BundleVersionRecord>[]>;
  /** The unarchived bundles of this id in these tenants, in any order. */
  holders(tenants: readonly string[], id: string): Promise<{ tenant: string; type: PromptType }[]>;
  /** Unarchived bundles in these tenants whose draft names the template. */
  draftsNaming(
    tenants: readonly string[],
    templateId: string,
  ): Promise<{ tenant: string; id: string; versions: string[] }[]>;
  /** Bundle versions pinned to the template of this tenant that a channel points at now. */
  releasedPinning(
    tenant: string,
    templateId: string,
  ): Promise<{ tenant: string; bundleId: string; channel: string; version: string }[]>;
  /** For each of the tenants that has published exactly this version of an unarchived bundle: its bundle_hash. */
  versionHashes(
    tenants: readonly string[],
    id: string,
    version: string,
  ): Promise<{ tenant: string; bundleHash: string }[]>;
}

export interface ReleaseStore {
  /** The head of a channel, its latest release. */
  head(tenant: string, bundleId: string, channel: string): Promise<ReleaseRecord | undefined>;
  /** The heads of all channels of a bundle, by channel. */
  heads(tenant: string, bundleId: string): Promise<ReleaseRecord[]>;
  /**
   * The latest first (by seq); channel '' means all; `after` is the seq of the last item of the page before (0: from
   * the start).
   */
  list(tenant: string, bundleId: string, channel: string, after: number, limit: number): Promise<ReleaseRecord[]>;
  /** The latest release before `revision` on the channel that satisfies the condition on its version. */
  findBefore(
    tenant: string,
    bundleId: string,
    channel: string,
    revision: number,
    version: { is: string } | { isNot: string },
  ): Promise<ReleaseRecord | undefined>;
}

export interface ActivationStore {
  find(tenant: string, type: PromptType): Promise<ActivationRecord | undefined>;
  /** A tenant's own by type name, ascending. */
  list(tenant: string, after: string, limit: number): Promise<ActivationRecord[]>;
  /** Activations in these tenants that name the bundle. */
  naming(tenants: readonly string[], bundleId: string): Promise<{ tenant: string; type: PromptType }[]>;
}

export interface DocumentStore {
  /** The canonical JSON under a hash. */
  find(hash: string): Promise<string | undefined>;
}

/** Reads outside a transaction; each call sees what is committed. */
export interface Stores {
  readonly tenants: TenantStore;
  readonly templates: TemplateStore;
  readonly bundles: BundleStore;
  readonly releases: ReleaseStore;
  readonly activations: ActivationStore;
  readonly changes: ChangeStore;
  readonly documents: DocumentStore;
  readonly receipts: ReceiptStore;
}

/**
 * One transaction (READ COMMITTED). Locks are taken in the order tenant tree, activation, channel, bundle, template,
 * change head, each kind in ascending order of its key, so that no two writes can deadlock.
 */
export interface WriteTransaction extends Stores {
  /** When the transaction began: of every row that it writes. A change's own time is when it took its seq. */
  readonly time: Date;
  readonly actor: string;

  /** Serializes all writes to the tree of tenants. */
  lockTenantTree(): Promise<void>;
  /** Locks an activation, whether it exists or not. */
  lockActivation(tenant: string, type: PromptType): Promise<ActivationRecord | undefined>;
  /** Locks a channel, whether it exists or not. */
  lockChannel(tenant: string, bundleId: string, channel: string): Promise<ReleaseRecord | undefined>;
  /** Locks a bundle for writing. */
  lockBundle(tenant: string, id: string): Promise<DraftRecord | undefined>;
  /** Keeps the unarchived bundles of this id in these tenants from being archived or edited; names those found. */
  shareBundles(tenants: readonly string[], id: string): Promise<{ tenant: string; type: PromptType }[]>;
  /** Locks a template for writing. */
  lockTemplate(tenant: string, id: string): Promise<DraftRecord | undefined>;
  /** Keeps the unarchived templates with these ids in these tenants from being archived; names those found. */
  shareTemplates(tenants: readonly string[], ids: readonly string[]): Promise<{ tenant: string; id: string }[]>;

  /** Stores a document once. */
  putDocument(document: Document): Promise<void>;
  /** Inserts or replaces; `insert` says which is expected. @returns false if an insert finds the id taken */
  insertTenant(record: TenantRecord): Promise<boolean>;
  updateTenant(record: TenantRecord): Promise<void>;
  /** @returns false if the id is taken */
  insertTemplate(record: DraftRecord): Promise<boolean>;
  updateTemplate(record: DraftRecord): Promise<void>;
  /** @returns false if the semver is taken */
  insertTemplateVersion(record: TemplateVersionRecord): Promise<boolean>;
  /** @param references the templates that the draft names. @returns false if the id is taken */
  insertBundle(record: DraftRecord, references: readonly TemplateReference[]): Promise<boolean>;
  updateBundle(record: DraftRecord, references: readonly TemplateReference[]): Promise<void>;
  /** @returns false if the semver is taken */
  insertBundleVersion(record: BundleVersionRecord): Promise<boolean>;

  /**
   * Locks the change head, unless this transaction holds it, and appends to the change log. Taken after every other
   * lock; releases and activations are written after it, since they carry the seq.
   * @returns the change's seq
   */
  appendChange(entry: ChangeEntry): Promise<number>;
  /** Writes the release and moves the channel's head to it. */
  insertRelease(record: ReleaseRecord): Promise<void>;
  /** Writes the activation as it is now. */
  putActivation(record: ActivationRecord): Promise<void>;

  /**
   * Erases the captured values of renders before `before` that the filter names; no receipt can join the chain until
   * the transaction ends. Taken before the change head.
   * @returns of how many renders
   */
  eraseInputs(filter: ErasureFilter, before: Date): Promise<number>;
  /** Has the same values erased of receipts that are still on their way. */
  insertErasure(seq: number, filter: ErasureFilter, before: Date): Promise<void>;
}

/** A template that a bundle's draft names. */
export interface TemplateReference {
  readonly templateId: string;
  readonly version: string;
}

/** Who writes, and for how long the answer is of use. */
export interface WriteCall {
  readonly actor: string;
  readonly traceId: string;
  /** Empty: not repeatable. */
  readonly requestId: string;
  /** Milliseconds since the epoch; undefined: the server's own bound. */
  readonly deadline: number | undefined;
  /** Aborts when the caller goes away or the deadline passes. */
  readonly signal: AbortSignal;
}

/** How a mutation's answer is kept for its repeats. */
export interface Repeatable<T> {
  /** The full name of the RPC. */
  readonly rpc: string;
  /** Hash of the request without its request_id. */
  readonly fingerprint: string;
  encode(answer: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

export interface Writes {
  /**
   * Runs one use case in one transaction, and answers once this replica's route map has applied its changes.
   * A repeat (same actor, RPC and request_id within 24 h) is answered with what the first was answered with; a
   * concurrent twin waits for it. Nothing is kept of a use case that throws.
   * @throws InvalidInput REQUEST_ID_REUSED if the request_id was used with another fingerprint
   * @throws DeadlineExceeded, Cancelled before the commit, never after it
   * @throws Unavailable DATABASE_UNAVAILABLE
   */
  run<T>(call: WriteCall, repeatable: Repeatable<T>, work: (tx: WriteTransaction) => Promise<T>): Promise<T>;
}
