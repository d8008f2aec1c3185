import type { RouteChange } from '../domain/route-map.ts';
import type { CompiledBundles } from '../services/render-ports.ts';

/** Most snapshots that are loaded at a time; what renders ask for comes first. */
const LOADS_MAX = 2;

/** Most snapshots that wait; after a long absence, those released beyond that are loaded when they are rendered. */
const WAITING_MAX = 1_000;

/**
 * Follows the pointers, and loads what is released before it is asked for, so that the first render of a release is as
 * fast as every other. What cannot be loaded is left to the render that needs it.
 */
export class ReleasedVersionWarmUp {
  readonly #bundles: CompiledBundles;
  readonly #waiting = new Set<string>();
  #loads = 0;

  constructor(bundles: CompiledBundles) {
    this.#bundles = bundles;
  }

  /** Nothing is loaded ahead at a start: most of what was ever released is not rendered on this replica. */
  loaded(): void {}

  applied({ action, detail }: Pick<RouteChange, 'action' | 'detail'>): void {
    if (action !== 'RELEASE' && action !== 'ROLLBACK') return;
    for (const { bundle_hash: hash } of detail['targets'] as unknown as { bundle_hash: string }[]) {
      if (this.#waiting.size < WAITING_MAX) this.#waiting.add(hash);
    }
    if (this.#loads < LOADS_MAX) void this.#load();
  }

  async #load(): Promise<void> {
    this.#loads += 1;
    for (const hash of this.#waiting) {
      this.#waiting.delete(hash);
      try {
        await this.#bundles.get(hash);
      } catch {
        // Whoever renders it tries again, and is told.
      }
    }
    this.#loads -= 1;
  }
}
