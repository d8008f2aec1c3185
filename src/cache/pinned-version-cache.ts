import { LRUCache } from 'lru-cache';
import type { PinCandidate } from '../domain/route-map.ts';
import type { PinnedVersions } from '../services/render-ports.ts';
import type { BundleStore } from '../services/stores.ts';

/** Whether a tenant's bundle has a version, as of a number of versions. */
interface Known {
  /** Empty: it has not. */
  readonly bundleHash: string;
  readonly versions: number;
}

/**
 * Exact versions in memory, over the database. That a version exists holds for ever; that it does not holds until the
 * bundle has more versions, and the route map says how many it has.
 */
export class PinnedVersionCache implements PinnedVersions {
  readonly #bundles: Pick<BundleStore, 'versionHashes'>;
  readonly #known: LRUCache<string, Known>;

  constructor(bundles: Pick<BundleStore, 'versionHashes'>, maxEntries: number) {
    this.#bundles = bundles;
    this.#known = new LRUCache({ max: maxEntries });
  }

  async find(
    candidates: readonly PinCandidate[],
    bundleId: string,
    version: string,
  ): Promise<{ tenant: string; bundleHash: string } | undefined> {
    for (const candidate of candidates) {
      const { tenant } = candidate;
      const known = this.#known.get(key(tenant, bundleId, version));
      const current = known && (known.bundleHash || known.versions === candidate.versions) ? known : undefined;
      const { bundleHash } = current ?? (await this.#learn(candidate, bundleId, version));
      if (bundleHash) return { tenant, bundleHash };
    }
    return undefined;
  }

  async #learn({ tenant, versions }: PinCandidate, bundleId: string, version: string): Promise<Known> {
    const [held] = await this.#bundles.versionHashes([tenant], bundleId, version);
    const known = { bundleHash: held?.bundleHash ?? '', versions };
    this.#known.set(key(tenant, bundleId, version), known);
    return known;
  }
}

/** Ids hold no '/', so neighbours cannot smear into each other. */
function key(tenant: string, bundleId: string, version: string): string {
  return `${tenant}/${bundleId}/${version}`;
}
