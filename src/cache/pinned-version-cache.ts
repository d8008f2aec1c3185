import { LRUCache } from 'lru-cache';
import type { PinCandidate } from '../domain/route-map.ts';
import type { PinnedVersions } from '../services/render-ports.ts';
import type { BundleStore } from '../services/stores.ts';
import { SingleFlight } from './single-flight.ts';

/** Whether a tenant's bundle has a version, as of a number of versions. */
interface Known {
  /** Empty: it has not. */
  readonly bundleHash: string;
  readonly versions: number;
}

/**
 * Exact versions in memory, over the database. That a version exists holds for ever; that it does not holds until the
 * bundle has more versions, and the route map says how many it has. One flight asks for a version as of a number of
 * versions, however many wait for it.
 */
export class PinnedVersionCache implements PinnedVersions {
  readonly #bundles: Pick<BundleStore, 'versionHashes'>;
  readonly #known: LRUCache<string, Known>;
  readonly #flights = new SingleFlight<Known>();

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
      const { tenant, versions } = candidate;
      const key = keyOf(tenant, bundleId, version);
      const known = this.#known.get(key);
      const current = known && (known.bundleHash || known.versions === versions) ? known : undefined;
      const { bundleHash } =
        current ?? (await this.#flights.do(`${key}/${versions}`, () => this.#learn(key, candidate, bundleId, version)));
      if (bundleHash) return { tenant, bundleHash };
    }
    return undefined;
  }

  async #learn(key: string, { tenant, versions }: PinCandidate, bundleId: string, version: string): Promise<Known> {
    const [held] = await this.#bundles.versionHashes([tenant], bundleId, version);
    const known = { bundleHash: held?.bundleHash ?? '', versions };
    this.#known.set(key, known);
    return known;
  }
}

/** Ids hold no '/', so neighbours cannot smear into each other. */
function keyOf(tenant: string, bundleId: string, version: string): string {
  return `${tenant}/${bundleId}/${version}`;
}
