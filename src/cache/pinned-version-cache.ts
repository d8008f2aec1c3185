import { LRUCache } from 'lru-cache';
import type { PinCandidate } from '../domain/route-map.ts';
import type { PinnedVersions, PublishedContent } from '../services/render-ports.ts';
import type { ContentObserver } from './content-observer.ts';
import { SingleFlight } from './single-flight.ts';

const TTL_MS = 60 * 60 * 1_000;

/** Whether a tenant's bundle has a version, as of a number of versions. */
interface Known {
  /** Empty: it has not. */
  readonly bundleHash: string;
  readonly versions: number;
}

/**
 * Exact versions in memory, the first level over published content. That a version exists holds for ever; that it does
 * not holds until the bundle has more versions, and the route map says how many it has. One flight asks for a version
 * as of a number of versions, however many wait for it.
 */
export class PinnedVersionCache implements PinnedVersions {
  readonly #content: Pick<PublishedContent, 'versionHash'>;
  readonly #observer: Pick<ContentObserver, 'hit' | 'miss'>;
  readonly #maxEntries: number;
  #known: LRUCache<string, Known>;
  #flights = new SingleFlight<Known>();

  constructor(
    content: Pick<PublishedContent, 'versionHash'>,
    observer: Pick<ContentObserver, 'hit' | 'miss'>,
    maxEntries: number,
  ) {
    this.#content = content;
    this.#observer = observer;
    this.#maxEntries = maxEntries;
    this.#known = emptyCache(maxEntries);
  }

  /**
   * All pointers may be others: where commits were lost (a restore, a failover) a version may be published a second
   * time, with other content. What was asked before is answered, and not held.
   */
  loaded(): void {
    this.#known = emptyCache(this.#maxEntries);
    this.#flights = new SingleFlight();
  }

  applied(): void {}

  async find(
    candidates: readonly PinCandidate[],
    bundleId: string,
    version: string,
  ): Promise<{ tenant: string; bundleHash: string } | undefined> {
    for (const candidate of candidates) {
      const held = this.#held(candidate, bundleId, version);
      const { bundleHash } = held ?? (await this.#ask(candidate, bundleId, version));
      if (bundleHash) return { tenant: candidate.tenant, bundleHash };
    }
    return undefined;
  }

  /** That a version is missing is something found as well. */
  #held({ tenant, versions }: PinCandidate, bundleId: string, version: string): Known | undefined {
    const known = this.#known.get(keyOf(tenant, bundleId, version));
    const current = known && (known.bundleHash || known.versions === versions) ? known : undefined;
    this.#observer[current ? 'hit' : 'miss']('l1', 'version');
    return current;
  }

  #ask({ tenant, versions }: PinCandidate, bundleId: string, version: string): Promise<Known> {
    const key = keyOf(tenant, bundleId, version);
    const held = this.#known;
    return this.#flights.do(`${key}/${versions}`, async () => {
      const known = { bundleHash: (await this.#content.versionHash(tenant, bundleId, version)) ?? '', versions };
      held.set(key, known);
      return known;
    });
  }
}

/**
 * A level below may still hold a version of a history that was lost, for as long as that level says; this one takes it
 * over for an hour at most.
 */
function emptyCache(maxEntries: number): LRUCache<string, Known> {
  // Not by `max`, for which room for all entries is taken at once.
  return new LRUCache({ maxSize: maxEntries, sizeCalculation: () => 1, ttl: TTL_MS });
}

/** Ids hold no '/', so neighbours cannot smear into each other. */
function keyOf(tenant: string, bundleId: string, version: string): string {
  return `${tenant}/${bundleId}/${version}`;
}
