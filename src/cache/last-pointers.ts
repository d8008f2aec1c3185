import { LRUCache } from 'lru-cache';
import { parseJson } from '../domain/parse-json.ts';
import type { PromptType } from '../domain/prompt-type.ts';
import type { LastPointer, LastPointers } from '../services/render-ports.ts';
import type { ContentObserver } from './content-observer.ts';
import type { RedisContent } from './redis-content.ts';
import type { RedisStore } from './redis.ts';
import { seal, unseal } from './sealed.ts';

const TTL_SECONDS = 60 * 60;
/** So often it is made sure that Redis holds a document; more rarely than all pointers are written anew. */
const KEPT_MS = 10 * 60 * 1_000;
const KEPT_MAX = 100_000;
/** Says that pointers of all tenants were written, but for few that could not be. */
const MARKER = 'prompt-seq';

/**
 * Pointers in Redis, each for an hour, under `prompt:{tenant}:{type}`: the sequence number, a line feed, the rest in
 * JSON. They only go forward: over a pointer of a higher sequence number nothing is written.
 */
export class RedisLastPointers implements LastPointers {
  readonly #redis: Pick<RedisStore, 'get' | 'setForward'>;
  readonly #documents: Pick<RedisContent, 'keep'>;
  readonly #observer: Pick<ContentObserver, 'corrupt'>;
  /** Not by `max`, for which room for all entries is taken at once. */
  readonly #kept = new LRUCache<string, true>({ maxSize: KEPT_MAX, sizeCalculation: () => 1, ttl: KEPT_MS });

  /** @param documents where the documents are that pointers name */
  constructor(
    redis: Pick<RedisStore, 'get' | 'setForward'>,
    documents: Pick<RedisContent, 'keep'>,
    observer: Pick<ContentObserver, 'corrupt'>,
  ) {
    this.#redis = redis;
    this.#documents = documents;
    this.#observer = observer;
  }

  async find(tenant: string, type: PromptType): Promise<LastPointer | undefined> {
    const content = await this.#read(keyOf(tenant, type));
    if (content === undefined) return undefined;
    const end = content.indexOf('\n');
    try {
      const { answer, scope } = parseJson(content.slice(end + 1)) as Omit<LastPointer, 'seq'>;
      return { seq: Number(content.slice(0, end)), answer, scope };
    } catch {
      this.#observer.corrupt('pointer');
      return undefined;
    }
  }

  /** Whether the pointers of (nearly) all tenants were written in the last hour; false, too, if it cannot be told. */
  async held(): Promise<boolean> {
    return (await this.#read(MARKER)) !== undefined;
  }

  /**
   * Writes a pointer, and has the document that it names in Redis as well. One without an answer is written only over
   * another, so that tenants that never had an answer take no room.
   * @throws Unavailable if it cannot be written
   */
  async put(tenant: string, type: PromptType, pointer: LastPointer): Promise<void> {
    const { seq, answer, scope } = pointer;
    await this.#write(keyOf(tenant, type), seq, JSON.stringify({ answer, scope }), answer === undefined);
    if (answer && !this.#kept.has(answer.bundleHash)) {
      await this.#documents.keep(answer.bundleHash);
      this.#kept.set(answer.bundleHash, true);
    }
  }

  /**
   * Says that the pointers of all tenants, but for few that cannot be written, were written as of the change, or later
   * ones.
   * @throws Unavailable if it cannot be written
   */
  async complete(seq: number): Promise<void> {
    await this.#write(MARKER, seq, '{}', false);
  }

  async #write(key: string, seq: number, json: string, onlyOver: boolean): Promise<void> {
    await this.#redis.setForward(key, seq, seal(key, `${seq}\n${json}`), TTL_SECONDS, onlyOver);
  }

  async #read(key: string): Promise<string | undefined> {
    const bytes = await this.#redis.get(key).catch(() => undefined);
    if (bytes === undefined) return undefined;
    const content = unseal(key, bytes);
    if (content === undefined) this.#observer.corrupt('pointer');
    return content;
  }
}

/** Ids hold no ':', so neighbours cannot smear into each other. */
function keyOf(tenant: string, type: PromptType): string {
  return `prompt:${tenant}:${type}`;
}
