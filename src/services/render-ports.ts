/** What the renderer needs of the rest, as narrow contracts. */
import type { CompiledBundle } from '../domain/assembly.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import type { RouteAnswer, RouteMap, TenantScope } from '../domain/route-map.ts';
import type { ReceiptRecord } from './trail.ts';

/** The replica's pointers. */
export interface Routes {
  /** All pointers; read synchronously, it is one version. Undefined until they are loaded first. */
  readonly loaded: RouteMap | undefined;
  /** Milliseconds since the epoch at which the pointers were last known to be the database's; 0: never. */
  readonly verifiedAt: number;
  /** Milliseconds since then, whatever the clock was set to meanwhile; Infinity: never. */
  unverifiedMs(): number;
  /**
   * Waits until the change is applied.
   * @param until milliseconds since the epoch
   * @param signal ends the wait at once when it aborts
   * @returns false if the change is not applied when the wait ends
   */
  applied(seq: number, until: number, signal?: AbortSignal): Promise<boolean>;
}

/** What a pointer says of the renders of one tenant by one type on the default channel. */
export interface LastPointer {
  /** The change that had been applied when it was written. */
  readonly seq: number;
  /** Undefined: nothing answered. */
  readonly answer: RouteAnswer | undefined;
  readonly scope: TenantScope;
}

/** The pointers that replicas leave behind for one that starts while the database is away (spec section 4). */
export interface LastPointers {
  /** Undefined: none is held, or none can be read now. Never rejects, and answers in bounded time. */
  find(tenant: string, type: PromptType): Promise<LastPointer | undefined>;
}

/**
 * Where published content comes from. What was found once stays as it is for good; what is missing may come. The same
 * contract tests run against every implementation.
 */
export interface PublishedContent {
  /**
   * The canonical JSON under a hash; undefined: there is no such document.
   * @throws Unavailable if the stores are away or too slow
   */
  document(hash: string): Promise<string | undefined>;
  /**
   * The bundle_hash of an exact version of the tenant's own bundle; undefined: it is not published.
   * @throws Unavailable if the stores are away or too slow
   */
  versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined>;
}

/** An exact version of a tenant's own bundle. */
export interface VersionName {
  readonly tenant: string;
  readonly bundleId: string;
  readonly version: string;
}

/** A store of published content that is asked for many at a time; it answers in the order in which it is asked. */
export interface ContentStore {
  /**
   * The canonical JSON under each hash; undefined: there is no such document.
   * @throws Unavailable if the store is away or too slow
   */
  documents(hashes: readonly string[]): Promise<(string | undefined)[]>;
  /**
   * The bundle_hash of each version; undefined: it is not published.
   * @throws Unavailable if the store is away or too slow
   */
  versionHashes(names: readonly VersionName[]): Promise<(string | undefined)[]>;
}

/** Compiled snapshots by hash. */
export interface CompiledBundles {
  /** @throws Unavailable if it is not held and the stores are away */
  get(bundleHash: string): CompiledBundle | Promise<CompiledBundle>;
}

/** Exact versions. */
export interface PinnedVersions {
  /**
   * The snapshot of an exact version in the first of the candidates that has it.
   * @throws Unavailable if it is not held and the database is away
   */
  find(
    candidates: readonly { readonly tenant: string; readonly versions: number }[],
    bundleId: string,
    version: string,
  ): Promise<{ tenant: string; bundleHash: string } | undefined>;
}

/** Learns what renders do; must not throw. */
export interface RenderObserver {
  rendered(seconds: number): void;
  fellBack(event: { tenant: string; target: string; reason: FallbackReason; answeredWith: 'text' | 'default' }): void;
  /** Nothing is left of the receipt but what is told here, and its render was answered. */
  receiptLost(receipt: ReceiptRecord, error: unknown): void;
  /** The receipt waits in the journal longer than its render could wait. */
  receiptLate(receipt: ReceiptRecord, error: unknown): void;
}

export type FallbackReason = 'nothing_answers' | 'stores_unavailable';

/** What the renderer takes the time and ids from. */
export interface RenderClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds of a clock that only goes forward. */
  monotonic(): number;
  /** A new UUIDv7. */
  id(): string;
}
