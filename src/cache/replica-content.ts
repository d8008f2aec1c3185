import { Unavailable } from '../domain/errors.ts';
import type { PublishedContent } from '../services/render-ports.ts';

/** Learns why a read replica is of no use; must not throw. */
export interface ReplicaObserver {
  /** It answers, but with an error: say, it lacks a table that the primary has, or a privilege. */
  replicaFailed(error: unknown): void;
}

/**
 * Published content of a read replica, and of its primary where the replica does not have it: what was published may
 * not have come there yet (spec section 4). A replica that fails in whatever way fails nobody whom the primary can
 * answer.
 */
export class ReplicaContent implements PublishedContent {
  readonly #replica: PublishedContent;
  readonly #primary: PublishedContent;
  readonly #observer: ReplicaObserver;

  constructor(replica: PublishedContent, primary: PublishedContent, observer: ReplicaObserver) {
    this.#replica = replica;
    this.#primary = primary;
    this.#observer = observer;
  }

  async document(hash: string): Promise<string | undefined> {
    return (await this.#ifThere(this.#replica.document(hash))) ?? this.#primary.document(hash);
  }

  async versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined> {
    const held = await this.#ifThere(this.#replica.versionHash(tenant, bundleId, version));
    return held ?? this.#primary.versionHash(tenant, bundleId, version);
  }

  async #ifThere(asked: Promise<string | undefined>): Promise<string | undefined> {
    try {
      return await asked;
    } catch (error) {
      // Its guard tells of one that is away.
      if (!(error instanceof Unavailable)) this.#observer.replicaFailed(error);
      return undefined;
    }
  }
}
