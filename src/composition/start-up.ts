import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisLastPointers } from '../cache/last-pointers.ts';
import { defaultPrompt } from '../domain/default-prompts.ts';
import { Unavailable } from '../domain/errors.ts';
import { PROMPT_TYPES } from '../domain/prompt-type.ts';
import type { RouteFeed } from '../routing/route-feed.ts';
import type { Database } from '../storage/database.ts';
import { domainError } from '../storage/errors.ts';
import { migrate, pendingMigrations } from '../storage/migrate.ts';
import type { PostgresWrites } from '../storage/writes.ts';
import type { Logger } from '../telemetry/logger.ts';

/** A replica that has pointers from Redis is to have its own within a second of the database being back. */
const RETRY_MS = 250;

/** What a replica needs to become ready. */
export interface StartUpParts {
  /** Undefined: somebody else migrates. */
  readonly migrationUrls: { readonly owner: string; readonly server: string } | undefined;
  readonly database: Database;
  readonly writes: PostgresWrites;
  readonly feed: RouteFeed;
  /** Undefined without Redis. */
  readonly lastPointers: Pick<RedisLastPointers, 'held'> | undefined;
  readonly logger: Logger;
}

/**
 * The way of a replica to its pointers: migrations, the rights of its sessions, the route map, however long the
 * database is away before. Meanwhile pointers that other replicas left in Redis are good enough to be ready with.
 */
export class StartUp {
  readonly #parts: StartUpParts;
  readonly #stop = new AbortController();
  readonly #away = Promise.withResolvers<void>();
  #ready = false;
  #told: string | undefined;
  #loaded: Promise<void> | undefined;

  constructor(parts: StartUpParts) {
    this.#parts = parts;
  }

  /** The database was found to be away. */
  readonly away = (): void => this.#away.resolve();

  /**
   * Resolves once the replica can serve; if that is with pointers from Redis, it goes on to its own.
   * @param signal gives up
   * @throws Error if the database refuses for a reason that waiting does not mend
   */
  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const giveUp = () => void this.stop();
    signal.addEventListener('abort', giveUp, { once: true });
    this.#loaded = this.#load();
    await Promise.race([this.#loaded, this.#pointersHeld()]);
    signal.removeEventListener('abort', giveUp);
    this.#ready = true;
    const { feed, logger } = this.#parts;
    if (feed.loaded) logger.info({ seq: feed.loaded.seq }, 'serving');
    else logger.warn('serving, with pointers from Redis until its own are loaded');
  }

  /** Gives up what is not loaded yet, migrations that are under way included; what is loaded stays. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the start was given up'));
    this.away();
    if (this.#parts.feed.loaded === undefined) await this.#parts.feed.stop();
    await this.#loaded?.catch(() => undefined);
  }

  /** Once the replica is ready nobody waits for this: every failure is tried again. */
  async #load(): Promise<void> {
    for (;;) {
      try {
        await this.#prepare();
        return await this.#parts.feed.start();
      } catch (error) {
        this.#stop.signal.throwIfAborted();
        await this.#pause(error);
      }
    }
  }

  async #prepare(): Promise<void> {
    const { migrationUrls, database, writes, logger } = this.#parts;
    const { signal } = this.#stop;
    const onWait = () => {
      logger.warn('another process migrates the database; waiting for it');
      this.away();
    };
    if (migrationUrls) await migrate(migrationUrls.owner, migrationUrls.server, { signal, onWait });
    const pending = await pendingMigrations(database);
    if (pending.length > 0) throw new Unavailable('DATABASE_UNAVAILABLE', `not migrated: ${pending.join(', ')}`, 0);
    await database.requireServerRole();
    await storeDefaultPrompts(writes, signal);
  }

  async #pause(error: unknown): Promise<void> {
    const failure = domainError(error);
    if (!(failure instanceof Unavailable) && !this.#ready) throw error;
    this.#tell(failure as Error);
    this.away();
    await sleep(RETRY_MS, undefined, { signal: this.#stop.signal });
  }

  /** Tells of a failure unless it is the same as before. */
  #tell(failure: Error): void {
    if (failure.message === this.#told) return;
    this.#told = failure.message;
    const { logger } = this.#parts;
    if (failure instanceof Unavailable) {
      logger.warn({ err: failure.cause ?? failure }, `waiting for the database: ${failure.message}`);
    } else logger.error({ err: failure }, 'the database refuses; trying again');
  }

  /** Asked for only once the database is known to be away: its own pointers are worth a wait. */
  async #pointersHeld(): Promise<void> {
    await this.#away.promise;
    const { lastPointers, feed } = this.#parts;
    const { signal } = this.#stop;
    signal.throwIfAborted();
    while (!(await lastPointers?.held())) {
      if (feed.loaded) return;
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}

/** Built-in defaults are documents like any other, so that their renders can be replayed (spec section 3). */
async function storeDefaultPrompts(writes: PostgresWrites, signal: AbortSignal): Promise<void> {
  const call = { actor: 'platen', traceId: '', requestId: '', deadline: undefined, signal };
  const unrepeated = { rpc: '', fingerprint: '', encode: () => new Uint8Array(), decode: () => undefined };
  await writes.run(call, unrepeated, async (tx) => {
    for (const type of PROMPT_TYPES) await tx.putDocument(defaultPrompt(type));
  });
}
