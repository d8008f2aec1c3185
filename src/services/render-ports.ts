/** What the renderer needs of the rest, as narrow contracts. */
import type { CompiledBundle } from '../domain/assembly.ts';
import type { RouteMap } from '../domain/route-map.ts';
import type { ReceiptRecord } from './stores.ts';

/** The replica's pointers. */
export interface Routes {
  /** All pointers; read synchronously, it is one version. Undefined until they are loaded first. */
  readonly loaded: RouteMap | undefined;
  /** Milliseconds since the epoch at which the pointers were last known to be the database's. */
  readonly verifiedAt: number;
  /**
   * Waits until the change is applied.
   * @param until milliseconds since the epoch
   * @param signal ends the wait at once when it aborts
   * @returns false if the change is not applied when the wait ends
   */
  applied(seq: number, until: number, signal?: AbortSignal): Promise<boolean>;
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
  receiptLost(receipt: ReceiptRecord, error: unknown): void;
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
