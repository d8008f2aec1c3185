import { setImmediate as nextTurn } from 'node:timers/promises';
import { PROMPT_TYPES, type PromptType } from '../domain/prompt-type.ts';
import { DEFAULT_CHANNEL, type RouteChange, type RouteMap } from '../domain/route-map.ts';
import type { LastPointer } from '../services/render-ports.ts';
import type { RouteFollower } from './route-feed.ts';

/** Where pointers are left for replicas that start while the database is away; it tells of failures by itself. */
export interface PointerSink {
  /** Writes a pointer unless a later one is there. Rejects if it cannot. */
  put(tenant: string, type: PromptType, pointer: LastPointer): Promise<void>;
  /**
   * Says that the pointers of all tenants, but for few that cannot be written, were written as of the change, or later
   * ones. Rejects if it cannot.
   */
  complete(seq: number): Promise<void>;
}

/** Between the end of a round and the next one, so that a burst of changes is written once. */
const PAUSE_MS = 250;
/** After a round that could not go on, and after the first failure of a tenant; the latter's pauses double. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** Pointers expire an hour after they were written. */
const REFRESH_MS = 20 * 60 * 1_000;
/** Tenants whose pointers are on their way at a time: few, since six pointers carry the variables of each. */
const GROUP = 4;
/** Tenants that are looked at before others may go on. */
const LOOK_AT = 1_000;
/** Of how many tenants one may fail, and all are told as written nevertheless. */
const ONE_OF = 10;
/** What moves the pointers of a bundle: drafts and versions answer nobody until they are released. */
const BUNDLE_MOVES: ReadonlySet<string> = new Set(['ARCHIVE', 'RELEASE', 'ROLLBACK', 'WITHDRAW']);

/** All tenants were due as of the change, and it is not told yet. */
interface Completion {
  readonly seq: number;
  /** How many tenants may fail. */
  readonly tolerated: number;
}

/** The last attempt at a tenant failed: it is left alone for the pause, then due again. */
interface Failure {
  readonly pauseMs: number;
  readonly timer: NodeJS.Timeout;
}

/**
 * Leaves the pointers of all tenants for replicas that start while the database is away (spec section 4), off the path
 * of renders and writes: changes only mark tenants, whose pointers are written in rounds, one at a time, with turns for
 * everybody else in between. Nothing is written while the map is not proved: what it holds may be a lost history, which
 * would live on with every refresh.
 */
export class PointerKeeper implements RouteFollower {
  readonly #sink: PointerSink;
  readonly #isVerified: () => boolean;
  #map: RouteMap | undefined;
  /** Tenants that changed since the last round began; their descendants may have changed with them. */
  #changed = new Set<string>();
  #allChanged = false;
  /** Tenants whose pointers are to be written, the longest-waiting first. */
  readonly #due = new Set<string>();
  readonly #failing = new Map<string, Failure>();
  #completion: Completion | undefined;
  #round: Promise<void> | undefined;
  /** Set while the next round is planned. */
  #timer: NodeJS.Timeout | undefined;
  #refresh: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param isVerified whether the map was found to be the database's a moment ago */
  constructor(sink: PointerSink, isVerified: () => boolean) {
    this.#sink = sink;
    this.#isVerified = isVerified;
  }

  loaded(map: RouteMap): void {
    this.#map = map;
    this.#refresh ??= setInterval(() => this.#markAll(), REFRESH_MS);
    this.#markAll();
  }

  applied({ action, entityKind, tenant }: RouteChange): void {
    if (entityKind === 'TEMPLATE' || (entityKind === 'BUNDLE' && !BUNDLE_MOVES.has(action))) return;
    this.#changed.add(tenant);
    this.#wake(0);
  }

  /** Begins no more rounds; resolves once nothing is being written any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#refresh);
    await this.#round;
    for (const { timer } of this.#failing.values()) clearTimeout(timer);
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
    return this.#allChanged || this.#changed.size > 0 || this.#due.size > 0 || this.#isComplete();
  }

  /** Whether enough was written to say so, once none is due. */
  #isComplete(): boolean {
    return this.#completion !== undefined && this.#failing.size <= this.#completion.tolerated;
  }

  #begin(map: RouteMap): void {
    this.#round = this.#write(map).then((isDone) => {
      this.#round = undefined;
      this.#wake(isDone ? PAUSE_MS : RETRY_MS);
    });
  }

  /** @returns whether the round came to its end, successful or not for single tenants */
  async #write(map: RouteMap): Promise<boolean> {
    await this.#collect(map);
    const due = [...this.#due];
    for (let at = 0; at < due.length; at += GROUP) {
      if (!this.#mayWrite() || !(await this.#writeGroup(due.slice(at, at + GROUP)))) return false;
    }
    return !this.#isComplete() || (this.#mayWrite() && this.#tell(this.#completion!));
  }

  #mayWrite(): boolean {
    return !this.#stopped && this.#isVerified();
  }

  /** Whoever changed is due, with all descendants; whoever fails is due in time. */
  async #collect(map: RouteMap): Promise<void> {
    const all = this.#allChanged;
    const changed = this.#changed;
    this.#allChanged = false;
    this.#changed = new Set();
    if (!all && changed.size === 0) return;
    const { seq } = map;
    let tenants = 0;
    for (const tenant of map.tenants()) {
      tenants += 1;
      // Whatever moves meanwhile is marked for the next round.
      if (tenants % LOOK_AT === 0) await nextTurn();
      if (this.#failing.has(tenant)) continue;
      if (all || map.lineage(tenant).some((id) => changed.has(id))) this.#due.add(tenant);
    }
    if (all) this.#completion = { seq, tolerated: Math.max(1, Math.floor(tenants / ONE_OF)) };
  }

  /** @returns whether any tenant was written; if none was, the next ones had better wait */
  async #writeGroup(group: readonly string[]): Promise<boolean> {
    const attempts: Promise<boolean>[] = [];
    for (const tenant of group) {
      this.#due.delete(tenant);
      attempts.push(this.#settle(tenant, await this.#put(this.#map!, tenant)));
    }
    return (await Promise.all(attempts)).includes(true);
  }

  /** Begins to put what the tenant's renders by type find, all in one version of the map. */
  async #put(map: RouteMap, tenant: string): Promise<Promise<boolean>[]> {
    const { seq } = map;
    const scope = map.scope(tenant);
    const answers = PROMPT_TYPES.map((type) => [type, map.resolveType(tenant, type, DEFAULT_CHANNEL)] as const);
    const puts: Promise<boolean>[] = [];
    for (const [type, answer] of answers) {
      puts.push(succeeds(this.#sink.put(tenant, type, { seq, scope, answer })));
      // Scopes may be large, and each pointer is serialised and hashed by itself.
      await nextTurn();
    }
    return puts;
  }

  async #settle(tenant: string, puts: Promise<boolean>[]): Promise<boolean> {
    const isWritten = !(await Promise.all(puts)).includes(false);
    if (isWritten) this.#failing.delete(tenant);
    else this.#retry(tenant);
    return isWritten;
  }

  #retry(tenant: string): void {
    const last = this.#failing.get(tenant);
    const pauseMs = last ? Math.min(2 * last.pauseMs, MAX_RETRY_MS) : RETRY_MS;
    const timer = setTimeout(() => {
      this.#due.add(tenant);
      this.#wake(0);
    }, pauseMs);
    this.#failing.set(tenant, { pauseMs, timer });
  }

  /** @returns whether it could be told */
  async #tell(completion: Completion): Promise<boolean> {
    const isTold = await succeeds(this.#sink.complete(completion.seq));
    if (isTold) this.#completion = undefined;
    return isTold;
  }
}

/** Whether the work succeeds; sinks tell of failures by themselves. */
function succeeds(work: Promise<void>): Promise<boolean> {
  return work.then(() => true, () => false);
}
