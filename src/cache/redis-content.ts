import { hash as digest } from 'node:crypto';
import type { PublishedContent } from '../services/render-ports.ts';
import type { ContentKind, ContentObserver } from './content-observer.ts';
import type { RedisStore } from './redis.ts';
import { seal, unseal } from './sealed.ts';

const DOCUMENT_TTL_SECONDS = 7 * 24 * 60 * 60;
/** Where commits were lost (a restore, a failover) a version may be published a second time, with other content. */
const VERSION_TTL_SECONDS = 60 * 60;
/** More than so many are not written at a time: Redis gets them when they are missed again. */
const MAX_WRITES = 16;

/**
 * Published content in Redis, over what is beneath. What Redis lacks, cannot tell in time or holds wrongly is asked
 * beneath, and what is found there is written to Redis behind the answer. That something is missing is not written.
 */
export class RedisContent implements PublishedContent {
  readonly #redis: Pick<RedisStore, 'get' | 'set'>;
  readonly #beneath: PublishedContent;
  readonly #observer: ContentObserver;
  #writes = 0;

  constructor(redis: Pick<RedisStore, 'get' | 'set'>, beneath: PublishedContent, observer: ContentObserver) {
    this.#redis = redis;
    this.#beneath = beneath;
    this.#observer = observer;
  }

  document(hash: string): Promise<string | undefined> {
    return this.#find(this.#document(hash));
  }

  /**
   * Has the document in Redis, whether it was lost there, damaged, or never written since every replica holds it.
   * @throws Unavailable if it cannot be read or written
   */
  async keep(hash: string): Promise<void> {
    const content = this.#document(hash);
    if ((await this.#held(content)) !== undefined) return;
    const found = await content.ask();
    if (found !== undefined) await this.#redis.set(content.key, content.write(found), content.ttlSeconds);
  }

  versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined> {
    const key = `version:${tenant}:${bundleId}:${version}`;
    return this.#find({
      kind: 'version',
      key,
      ttlSeconds: VERSION_TTL_SECONDS,
      read: (bytes) => unseal(key, bytes),
      ask: () => this.#beneath.versionHash(tenant, bundleId, version),
      write: (bundleHash) => seal(key, bundleHash),
    });
  }

  #document(hash: string): Content {
    return {
      kind: 'document',
      key: `document:${hash}`,
      ttlSeconds: DOCUMENT_TTL_SECONDS,
      read: (bytes) => (digest('sha256', bytes, 'hex') === hash ? bytes.toString('utf8') : undefined),
      ask: () => this.#beneath.document(hash),
      write: (text) => Buffer.from(text),
    };
  }

  async #find(content: Content): Promise<string | undefined> {
    const held = await this.#held(content);
    this.#observer[held === undefined ? 'miss' : 'hit']('l2', content.kind);
    if (held !== undefined) return held;
    const found = await content.ask();
    if (found !== undefined) this.#write(content, content.write(found));
    return found;
  }

  async #held({ kind, key, read }: Content): Promise<string | undefined> {
    const bytes = await this.#redis.get(key).catch(() => undefined);
    if (bytes === undefined) return undefined;
    const held = read(bytes);
    if (held === undefined) this.#observer.corrupt(kind);
    return held;
  }

  #write({ key, ttlSeconds }: Content, value: Buffer): void {
    if (this.#writes === MAX_WRITES) return;
    this.#writes += 1;
    const written = () => {
      this.#writes -= 1;
    };
    // The store counts and tells what fails.
    this.#redis.set(key, value, ttlSeconds).then(written, written);
  }
}

/** One thing that may be held. */
interface Content {
  readonly kind: ContentKind;
  readonly key: string;
  readonly ttlSeconds: number;
  /** What the bytes say; undefined: they are not what belongs under the key. */
  readonly read: (bytes: Buffer) => string | undefined;
  readonly ask: () => Promise<string | undefined>;
  readonly write: (found: string) => Buffer;
}
