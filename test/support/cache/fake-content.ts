import type { ContentKind, ContentLevel, ContentObserver } from '../../../src/cache/content-observer.ts';
import type { Document } from '../../../src/domain/document.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import type { ContentStore, PublishedContent, VersionName } from '../../../src/services/render-ports.ts';

/** Content in memory that tells what it was asked for, and can fail. */
export class FakeContent implements PublishedContent {
  /** The hashes, and versions as `tenant/bundle@version`, in the order in which they were asked for. */
  readonly asked: string[] = [];
  /** What every ask is rejected with. */
  failure: Error | undefined;
  /** What every ask waits for. */
  gate: Promise<void> = Promise.resolve();
  readonly #held = new Map<string, string>();
  #running = 0;
  #mostRunning = 0;

  /** The most asks that ran at a time. */
  get mostRunning(): number {
    return this.#mostRunning;
  }

  put(...documents: Document[]): void {
    for (const { hash, text } of documents) this.#held.set(hash, text);
  }

  /** @param version as `tenant/bundle@version` */
  putVersion(version: string, hash: string): void {
    this.#held.set(version, hash);
  }

  document(hash: string): Promise<string | undefined> {
    return this.#find(hash);
  }

  versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined> {
    return this.#find(`${tenant}/${bundleId}@${version}`);
  }

  async #find(key: string): Promise<string | undefined> {
    this.asked.push(key);
    this.#running += 1;
    this.#mostRunning = Math.max(this.#mostRunning, this.#running);
    try {
      await this.gate;
    } finally {
      this.#running -= 1;
    }
    if (this.failure) throw this.failure;
    return this.#held.get(key);
  }
}

/** A store in memory that tells what it was asked for, and can fail or wait as `FakeContent` does. */
export class FakeContentStore implements ContentStore {
  /** The keys of each question, versions as `tenant/bundle@version`. */
  readonly asked: (readonly string[])[] = [];
  readonly content = new FakeContent();

  documents(hashes: readonly string[]): Promise<(string | undefined)[]> {
    return this.#find(hashes, (hash) => this.content.document(hash));
  }

  versionHashes(names: readonly VersionName[]): Promise<(string | undefined)[]> {
    const versions = names.map(({ tenant, bundleId, version }) => `${tenant}/${bundleId}@${version}`);
    return this.#find(versions, (version) => this.content.document(version));
  }

  #find(keys: readonly string[], find: (key: string) => Promise<string | undefined>) {
    this.asked.push([...keys]);
    return Promise.all(keys.map(find));
  }
}

/** Notes what it is told, as `hit l1 document`. */
export class ContentCounts implements ContentObserver {
  readonly told: string[] = [];

  hit(level: ContentLevel, kind: ContentKind): void {
    this.told.push(`hit ${level} ${kind}`);
  }

  miss(level: ContentLevel, kind: ContentKind): void {
    this.told.push(`miss ${level} ${kind}`);
  }

  corrupt(kind: ContentKind): void {
    this.told.push(`corrupt ${kind}`);
  }

  /** How often this was told. */
  count(what: string): number {
    return this.told.filter((one) => one === what).length;
  }
}

/** As a store says that it is away. */
export function away(): Unavailable {
  return new Unavailable('DATABASE_UNAVAILABLE', 'away', 1_000);
}
