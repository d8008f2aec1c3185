import type { PublishedContent } from '../services/render-ports.ts';
import type { ContentKind, ContentLevel, ContentObserver } from './content-observer.ts';

/** Published content of one level, whose hits and misses are told. */
export class CountedContent implements PublishedContent {
  readonly #inner: PublishedContent;
  readonly #level: ContentLevel;
  readonly #observer: Pick<ContentObserver, 'hit' | 'miss'>;

  constructor(inner: PublishedContent, level: ContentLevel, observer: Pick<ContentObserver, 'hit' | 'miss'>) {
    this.#inner = inner;
    this.#level = level;
    this.#observer = observer;
  }

  document(hash: string): Promise<string | undefined> {
    return this.#counted('document', this.#inner.document(hash));
  }

  versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined> {
    return this.#counted('version', this.#inner.versionHash(tenant, bundleId, version));
  }

  async #counted(kind: ContentKind, asked: Promise<string | undefined>): Promise<string | undefined> {
    let found: string | undefined;
    try {
      found = await asked;
      return found;
    } finally {
      this.#observer[found === undefined ? 'miss' : 'hit'](this.#level, kind);
    }
  }
}
