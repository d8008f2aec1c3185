import { PROMPT_TYPES, type PromptType } from '../domain/prompt-type.ts';
import { DEFAULT_CHANNEL, type RouteChange, type RouteMap } from '../domain/route-map.ts';
import type { LastPointer } from '../services/render-ports.ts';
import type { RouteFollower } from './route-feed.ts';

/** Where pointers are left for replicas that start while the database is away; it tells of failures by itself. */
export interface PointerSink {
  /** Writes a pointer unless a later one is there. Rejects if it cannot. */
  put(tenant: string, type: PromptType, pointer: LastPointer): Promise<void>;
  /** Says that the pointers of all tenants were written as of the change, or later ones. Rejects if it cannot. */
  complete(seq: number): Promise<void>;
}

/** Between the end of a round and the next one, so that a burst of changes is written once. */
const PAUSE_MS = 250;
const RETRY_MS = 1_000;
/** Pointers expire an hour after they were written. */
const REFRESH_MS = 20 * 60 * 1_000;
/** Tenants whose pointers are resolved at once: few, since no render is answered meanwhile. */
const BATCH = 20;

/**
 * Leaves the pointers of all tenants for replicas that start while the database is away (spec section 4), off the path
 * of renders and writes: changes only mark tenants, whose pointers are written in rounds, one at a time.
 */
export class PointerKeeper implements RouteFollower {
  readonly #sink: PointerSink;
  #map: RouteMap | undefined;
  /** Tenants that changed since the last round began; their descendants may have changed with them. */
  #changed = new Set<string>();
  #allChanged = false;
  /** Tenants whose pointers are to be written, the longest-waiting first. */
  readonly #due = new Set<string>();
  /** The change as of which all tenants were due and which is not told as complete yet. */
  #completes: number | undefined;
  #round: Promise<void> | undefined;
  /** Set while the next round is planned. */
  #timer: NodeJS.Timeout | undefined;
  #refresh: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(sink: PointerSink) {
    this.#sink = sink;
  }

  loaded(map: RouteMap): void {
    this.#map = map;
    this.#refresh ??= setInterval(() => this.#markAll(), REFRESH_MS);
    this.#markAll();
  }

  applied({ entityKind, tenant }: RouteChange): void {
    if (entityKind === 'TEMPLATE') return;
    this.#changed.add(tenant);
    this.#wake(0);
  }

  /** Begins no more rounds; resolves once nothing is being written any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#refresh);
    await this.#round;
  }

  #markAll(): void {
    this.#allChanged = true;
    this.#wake(0);
  }

  /** Begins a round after this time, unless one is under way or planned: its end plans the next one. */
  #wake(ms: number): void {
    if (this.#stopped || this.#round !== undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#hasWork()) this.#begin(this.#map!);
    }, ms);
  }

  #hasWork(): boolean {
    return this.#allChanged || this.#changed.size > 0 || this.#due.size > 0 || this.#completes !== undefined;
  }

  #begin(map: RouteMap): void {
    this.#collect(map);
    this.#round = this.#write().then(
      () => this.#end(PAUSE_MS),
      () => this.#end(RETRY_MS),
    );
  }

  #end(pauseMs: number): void {
    this.#round = undefined;
    this.#wake(pauseMs);
  }

  /** Whoever changed is due, with all descendants. */
  #collect(map: RouteMap): void {
    const all = this.#allChanged;
    const changed = this.#changed;
    this.#allChanged = false;
    this.#changed = new Set();
    if (all) this.#completes = map.seq;
    else if (changed.size === 0) return;
    for (const tenant of map.tenants()) {
      if (all || map.lineage(tenant).some((id) => changed.has(id))) this.#due.add(tenant);
    }
  }

  async #write(): Promise<void> {
    const due = [...this.#due];
    for (let at = 0; at < due.length; at += BATCH) {
      if (this.#stopped) return;
      await this.#writeBatch(due.slice(at, at + BATCH));
    }
    if (this.#completes === undefined) return;
    await this.#sink.complete(this.#completes);
    this.#completes = undefined;
  }

  /** A batch that fails comes last next time, so that it does not keep the others from being written. */
  async #writeBatch(batch: readonly string[]): Promise<void> {
    for (const tenant of batch) this.#due.delete(tenant);
    try {
      await Promise.all(pointersOf(this.#map!, batch).map((each) => this.#sink.put(...each)));
    } catch (error) {
      for (const tenant of batch) this.#due.add(tenant);
      throw error;
    }
  }
}

/** What the tenants' renders by type find, all in one version of the map. */
function pointersOf(map: RouteMap, tenants: readonly string[]): Parameters<PointerSink['put']>[] {
  const { seq } = map;
  return tenants.flatMap((tenant) => {
    const scope = map.scope(tenant);
    return PROMPT_TYPES.map((type): Parameters<PointerSink['put']> => [
      tenant,
      type,
      { seq, scope, answer: map.resolveType(tenant, type, DEFAULT_CHANNEL) },
    ]);
  });
}
