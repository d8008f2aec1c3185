import assert from 'node:assert/strict';
import { compileBundle } from '../../../src/domain/assembly.ts';
import { defaultPrompt } from '../../../src/domain/default-prompts.ts';
import { NotFound, Unavailable } from '../../../src/domain/errors.ts';
import { PROMPT_TYPES } from '../../../src/domain/prompt-type.ts';
import type { PinCandidate, RouteMap } from '../../../src/domain/route-map.ts';
import { RouteFeed, type OpenChangeLog } from '../../../src/routing/route-feed.ts';
import type { RenderTarget } from '../../../src/services/render-input.ts';
import { RendererService, type RenderResult } from '../../../src/services/renderer-service.ts';
import type { ReceiptRecord } from '../../../src/services/trail.ts';
import { markedPrompts } from './marked-prompts.ts';
import { follows, type Point, type RegistryHistory } from './registry-history.ts';
import { answerTo, capturePolicyOf, isKnown, versionsOf, type Ask } from './registry-model.ts';
import type { SimulatedDatabase } from './simulated-database.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Pointers that were not proved for longer make every answer STALE (spec section 4). */
const STALE_AFTER_MS = 3_000;
/** How long a render without a deadline waits for its min_seq. */
const MIN_SEQ_WAIT_MS = 5_000;
/** How long a render waits for an exact version that is not held. */
const LOOK_UP_WAIT_MS = 1_000;
/** How long a writer waits for its own change. */
const OWN_WRITE_WAIT_MS = 5_000;

const DEFAULTS = new Map(
  PROMPT_TYPES.map((type) => {
    const bundle = compileBundle(defaultPrompt(type));
    const { text } = bundle.assemble(bundle.variables.resolve({}, {}), new Map());
    return [type, { bundleHash: bundle.bundleHash, text }];
  }),
);

/** What a render asks for besides its prompt. */
export interface RenderOptions {
  readonly minSeq: number;
  readonly fallbackText: string;
}

/** What all replicas share. */
export interface Surroundings {
  readonly history: RegistryHistory;
  readonly database: SimulatedDatabase;
  readonly time: VirtualTime;
  /** Something that ends sooner or later; if it rejects, a counterexample is found. */
  underWay(what: string, work: Promise<void>): void;
  /** If it throws, a counterexample is found. */
  check(work: () => void): void;
}

/** What a replica has read or has let its callers see: it may not stay or go behind that, unless the database does. */
export class Floor {
  readonly #history: RegistryHistory;
  #point: Point | undefined;

  constructor(history: RegistryHistory) {
    this.#history = history;
  }

  /** May be counted on from now on. */
  raise(point: Point): void {
    if (this.#allows(point)) this.#point = point;
  }

  check(point: Point): void {
    assert(this.#allows(point), `the map is at change ${point.seq} after ${this.#point?.seq} was seen`);
  }

  #allows(point: Point): boolean {
    return !this.#point || follows(point, this.#point) || !this.#history.holds(this.#point);
  }
}

/** Where a replica stood when something read its map. */
interface Seen {
  /** Undefined: nothing is loaded. */
  readonly point: Point | undefined;
  /** The head was proved lately. */
  readonly proved: boolean;
}

/** A look for an exact version. */
interface LookUp {
  readonly askedAt: number;
  refused: boolean;
}

/** What of an answer is held against the model. */
type Outcome =
  | { readonly refused: string }
  | (Pick<
      ReceiptRecord,
      'seq' | 'source' | 'tenant' | 'bundleId' | 'version' | 'bundleHash' | 'channel' | 'revision' | 'capturePolicy'
    > & { readonly text: string; readonly warnings: readonly string[] });

/** A replica of the server as far as its pointers go, which holds everything that it answers against the model. */
export class SimulatedReplica {
  readonly #name: string;
  readonly #around: Surroundings;
  readonly #floor: Floor;
  readonly #feed: RouteFeed;
  readonly #renderer: RendererService;
  readonly #receipts = new Map<string, ReceiptRecord>();
  #stopped = false;
  /** When the last proof was asked for: a snapshot, or the log's end with the map's last change in it. */
  #provedAt = Number.NEGATIVE_INFINITY;
  /** The map, and the point it was at when the feed told of it last. */
  #told: { readonly map: RouteMap; readonly point: Point } | undefined;
  #lookUp: LookUp | undefined;

  constructor(number: number, around: Surroundings, floor: Floor) {
    this.#name = `replica ${number}`;
    this.#around = around;
    this.#floor = floor;
    const { time } = around;
    const ignore = () => {};
    const applied = (seq: number) => around.check(() => this.#applied(seq));
    const ignored = { head: ignore, propagated: ignore, reloaded: ignore, disconnected: ignore };
    const open = this.#watched(around.database.openFor(number));
    const now = () => time.now;
    this.#feed = new RouteFeed(open, { ...ignored, applied }, now, [], now);
    let renders = 0;
    this.#renderer = new RendererService({
      routes: this.#feed,
      bundles: markedPrompts,
      versions: { find: (...wanted) => this.#version(...wanted) },
      lastPointers: { find: () => Promise.resolve(undefined) },
      receipts: { write: (receipt) => Promise.resolve(void this.#receipts.set(receipt.renderId, receipt)) },
      receiptPolicy: 'serve',
      observer: { rendered: ignore, fellBack: ignore, receiptLost: ignore, receiptLate: ignore },
      clock: { now, monotonic: now, id: () => String((renders += 1)) },
    });
    const started = this.#feed.start().catch((error: Error) => assert(this.#stopped, error));
    around.underWay(`${this.#name} starts`, started);
  }

  stop(): void {
    this.#stopped = true;
    this.#around.underWay(`${this.#name} stops`, this.#feed.stop());
  }

  /** Whether it is loaded, agrees with the head and has proved it lately. */
  get isCaughtUp(): boolean {
    const { point, proved } = this.#seen();
    return proved && point === this.#around.history.head;
  }

  /** The last change that it has applied; 0: none. */
  get seq(): number {
    return this.#feed.loaded?.seq ?? 0;
  }

  /** Waits for its own write, as the server does before it answers. */
  wrote(point: Point): void {
    const { history, time } = this.#around;
    const applied = this.#feed.written(point.seq, time.now + OWN_WRITE_WAIT_MS).then((inTime) => {
      const at = this.#seen().point;
      if (!inTime || !history.holds(point)) return;
      this.#floor.raise(point);
      this.#floor.check(at!);
    });
    this.#around.underWay(`${this.#name} waits for its write of change ${point.seq}`, applied);
  }

  /** Renders, and checks the answer when it comes. */
  render(ask: Ask, options: RenderOptions): void {
    const askedAt = this.#around.time.now;
    const before = this.#seen();
    this.#lookUp = undefined;
    const call = { caller: '', traceId: '', deadline: undefined, signal: new AbortController().signal };
    const rendered = this.#renderer.render(call, { ...renderInput(ask), ...options });
    const lookUp = this.#lookUp;
    const checked = rendered.then((result) => this.#answered(result), refusal).then((outcome) => {
      if ('refused' in outcome && outcome.refused === 'SEQ_NOT_APPLIED') {
        if (this.#stopped) return;
        assert(this.#around.time.now - askedAt >= MIN_SEQ_WAIT_MS, `${this.#name} gave up too early`);
        assert(this.seq < options.minSeq, `${this.#name} had applied ${options.minSeq}`);
        return;
      }
      assert(options.minSeq === 0 || this.seq >= options.minSeq, `${this.#name} did not wait for ${options.minSeq}`);
      const seen = options.minSeq > 0 ? this.#seen() : before;
      const expected = expectedOutcome(ask, options.fallbackText, seen, this.#failed(lookUp));
      assert.deepEqual(outcome, expected, `${this.#name} answers otherwise than the model`);
    });
    this.#around.underWay(`${this.#name} renders`, checked);
  }

  /** Where the map stands now, which whoever reads it may count on from now on. */
  #seen(): Seen {
    const map = this.#feed.loaded;
    const proved = this.#around.time.now - this.#provedAt <= STALE_AFTER_MS;
    if (map === undefined) return { point: undefined, proved };
    const point = this.#around.history.point(map.chainHash);
    assert.equal(map.seq, point.seq);
    this.#floor.check(point);
    this.#floor.raise(point);
    return { point, proved };
  }

  /** Changes follow each other one by one, and only a replica off the log loads again. */
  #applied(seq: number): void {
    const { map } = this.#feed;
    const point = this.#around.history.point(map.chainHash);
    assert.deepEqual([map.seq, point.seq], [seq, seq]);
    const former = this.#told;
    this.#told = { map, point };
    if (former?.map === map) assert(point.before === former.point, `change ${seq} was applied to ${former.point.seq}`);
    else if (former) assert(!this.#around.history.holds(former.point), `${this.#name} reloads though it is on the log`);
  }

  #answered(result: RenderResult): Outcome {
    const receipt = this.#receipts.get(result.renderId)!;
    const { text, seq, source, tenant, bundleId, version, bundleHash, channel, revision } = result;
    const answer = { seq, source, tenant, bundleId, version, bundleHash, channel, revision };
    const { capturePolicy } = receipt;
    assert.deepEqual({ ...receipt, ...answer }, receipt, 'the receipt tells what was answered');
    return { ...answer, text, capturePolicy, warnings: result.warnings.map(({ code }) => code) };
  }

  /** The replica's connections, whose proofs are noted. */
  #watched(open: OpenChangeLog): OpenChangeLog {
    const { time } = this.#around;
    return async (...listener) => {
      const log = await open(...listener);
      return {
        load: async () => {
          const askedAt = time.now;
          const map = await log.load();
          this.#provedAt = askedAt;
          return map;
        },
        from: async (seq, limit) => {
          const askedAt = time.now;
          const changes = await log.from(seq, limit);
          if (changes[0]?.chainHash !== this.#feed.map.chainHash) return changes;
          this.#floor.raise(this.#around.history.point(changes.at(-1)!.chainHash));
          if (changes.length < limit) this.#provedAt = askedAt;
          return changes;
        },
        close: () => log.close(),
      };
    };
  }

  /** An exact version among the first that the map knows of, looked up in the database. */
  async #version(candidates: readonly PinCandidate[], bundleId: string, version: string) {
    if (candidates.length === 0) return undefined;
    const { registry } = this.#seen().point!;
    const lookUp = { askedAt: this.#around.time.now, refused: false };
    this.#lookUp = lookUp;
    const find = () => {
      for (const { tenant, versions } of candidates) {
        const held = versionsOf(registry, tenant, bundleId, versions).find((each) => each.version === version);
        if (held) return { tenant, bundleHash: held.bundleHash };
      }
      return undefined;
    };
    return this.#around.database.lookUp(`${this.#name}: look-up of ${bundleId}@${version}`, find).catch((error) => {
      lookUp.refused = true;
      throw error;
    });
  }

  #failed(lookUp: LookUp | undefined): boolean {
    return lookUp !== undefined && (lookUp.refused || this.#around.time.now - lookUp.askedAt >= LOOK_UP_WAIT_MS);
  }
}

/** What the spec says of a render. @param lookUpFailed its exact version could not be looked up in time */
function expectedOutcome(ask: Ask, fallbackText: string, { point, proved }: Seen, lookUpFailed: boolean): Outcome {
  const known = !point || isKnown(point.registry, ask.tenant);
  const capturePolicy = point ? capturePolicyOf(point.registry, ask.tenant) : 'HASH_ONLY';
  const warnings = [...(known ? [] : ['TENANT_UNKNOWN']), ...(proved ? [] : ['POINTERS_UNVERIFIED'])];
  const base = { seq: point?.seq ?? 0, capturePolicy, warnings };
  const answer = point && !lookUpFailed ? answerTo(point.registry, ask) : undefined;
  if (answer) {
    const own = answer.tenant === ask.tenant ? 'ACTIVE' : 'INHERITED';
    return { ...base, ...answer, source: !proved ? 'STALE' : 'version' in ask ? 'PINNED' : own };
  }
  const fallback = fallbackText ? { text: fallbackText, bundleHash: '' } : 'type' in ask && DEFAULTS.get(ask.type)!;
  if (fallback) {
    const channel = 'channel' in ask ? ask.channel : '';
    const nothing = { tenant: '', bundleId: '', version: '', revision: 0 };
    return { ...base, ...nothing, channel, ...fallback, source: 'FALLBACK', warnings: [...warnings, 'FALLBACK_USED'] };
  }
  if (!point || lookUpFailed) return { refused: 'DATABASE_UNAVAILABLE' };
  return { refused: !known ? 'tenant' : 'version' in ask ? 'bundle_version' : 'channel' };
}

function refusal(error: unknown): Outcome {
  if (error instanceof NotFound) return { refused: error.resourceType };
  if (error instanceof Unavailable) return { refused: error.reason };
  throw error;
}

function renderInput(ask: Ask) {
  const rest = { variables: {}, placeholders: new Map(), requestId: '', labels: {} };
  return { tenant: ask.tenant, target: targetOf(ask), channel: 'type' in ask ? ask.channel : '', ...rest };
}

function targetOf(ask: Ask): RenderTarget {
  if ('type' in ask) return { type: ask.type };
  const { bundleId } = ask;
  return 'version' in ask
    ? { bundleId, version: ask.version, channel: undefined }
    : { bundleId, version: undefined, channel: ask.channel };
}
