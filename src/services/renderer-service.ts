import {
  compileBundle,
  hashesOf,
  placeholdersDocument,
  RENDERER_VERSION,
  variablesDocument,
  type Assembled,
  type CompiledBundle,
  type Message,
} from '../domain/assembly.ts';
import type { Constraint } from '../domain/constraint.ts';
import { defaultPrompt } from '../domain/default-prompts.ts';
import type { Document } from '../domain/document.ts';
import { InvalidInput, NotFound, Unavailable, Violations } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { PROMPT_TYPES, type CapturePolicy, type PromptType } from '../domain/prompt-type.ts';
import { DEFAULT_CHANNEL, type RouteAnswer, type RouteMap, type TenantScope } from '../domain/route-map.ts';
import { variableViolations } from '../domain/variables.ts';
import { type AskedVersion, findExactVersion, noPointers, versionNotFound } from './exact-version.ts';
import type { ReceiptPolicy } from './receipt-policy.ts';
import { checkRenderInput, type RenderInput, type RenderTarget } from './render-input.ts';
import type {
  CompiledBundles,
  LastPointer,
  LastPointers,
  PinnedVersions,
  RenderClock,
  RenderObserver,
  Routes,
} from './render-ports.ts';
import {
  fallbackUsed,
  pointersUnverified,
  receiptNotRecorded,
  tenantUnknown,
  warnAboutIgnored,
} from './render-warnings.ts';
import { isVerified, resolveRoute, sourceOf } from './route-resolution.ts';
import { ReceiptNotKept, type ReceiptRecord, type ReceiptSink, type RenderSource } from './trail.ts';
import type { Warning } from './warning.ts';

/** Who renders, and for how long the answer is of use. */
export interface RenderCall {
  readonly caller: string;
  readonly traceId: string;
  /** Milliseconds since the epoch. */
  readonly deadline: number | undefined;
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal;
  /** Undefined: the call renders nothing else. */
  readonly shared?: SharedCall;
}

/** What the renders of one call share. */
export interface SharedCall {
  /** Waits for a share of the thread: asked for by who has waited for something else, perhaps for the same as others. */
  turn(): Promise<void>;
  /** Takes so many bytes of an answer that all share. @throws RenderedTooLarge if it has no more */
  take?(bytes: number): void;
}

export interface RenderResult {
  readonly renderId: string;
  readonly text: string;
  readonly messages: readonly Message[];
  readonly renderedHash: string;
  readonly bundleHash: string;
  readonly personalityHash: string;
  readonly variablesHash: string;
  readonly tenant: string;
  readonly bundleId: string;
  readonly version: string;
  readonly channel: string;
  readonly revision: number;
  readonly seq: number;
  readonly source: RenderSource;
  readonly modelConfig: JsonObject | undefined;
  readonly constraints: readonly Constraint[];
  readonly warnings: readonly Warning[];
}

const RETRY_DELAY_MS = 1_000;

/** How long a render without a deadline waits for min_seq. */
const MIN_SEQ_WAIT_MS = 5_000;

/** What is left of a deadline for the answer itself, whatever is waited for before. */
const ANSWER_MARGIN_MS = 100;

/** How long a snapshot that is not held may be waited for, before a fallback answers. */
const LOOKUP_WAIT_MS = 1_000;

/** How long a receipt may be waited for. */
const RECEIPT_WAIT_MS = 2_000;

/** What a render knows of its tenant before the pointers are loaded; nothing is captured for a tenant nobody knows. */
const UNLOADED_SCOPE: TenantScope = Object.freeze({ known: true, variables: {}, capturePolicy: 'HASH_ONLY' });

const NO_MESSAGES: ReadonlyMap<string, readonly Message[]> = new Map();

/** What this replica knows when it resolves a render: its own pointers, else one that another replica left behind. */
interface Known {
  readonly map: RouteMap | undefined;
  readonly last: LastPointer | undefined;
  readonly seq: number;
  readonly scope: TenantScope;
  readonly verified: boolean;
}

/** What answers a render, and how it was found. */
interface Found {
  readonly answer: Omit<RouteAnswer, 'channel' | 'revision'>;
  readonly channel: string;
  readonly revision: number;
  readonly source: RenderSource;
}

interface Prompt {
  readonly bundle: CompiledBundle | undefined;
  readonly found: Found | undefined;
}

/** A prompt that the pointers name: there at once, or awaited; undefined: they name none. */
type Sought = Prompt | undefined | Promise<Prompt | undefined>;

/**
 * The path of a render (spec section 4): route map → compiled snapshot → values → assembly → hashes → receipt. A hit
 * reads memory only.
 */
export class RendererService {
  readonly #routes: Routes;
  readonly #bundles: CompiledBundles;
  readonly #versions: PinnedVersions;
  readonly #lastPointers: LastPointers;
  readonly #receipts: ReceiptSink;
  readonly #receiptPolicy: ReceiptPolicy;
  readonly #observer: RenderObserver;
  readonly #clock: RenderClock;
  readonly #defaults: ReadonlyMap<PromptType, CompiledBundle>;

  constructor(parts: {
    routes: Routes;
    bundles: CompiledBundles;
    versions: PinnedVersions;
    lastPointers: LastPointers;
    receipts: ReceiptSink;
    receiptPolicy: ReceiptPolicy;
    observer: RenderObserver;
    clock: RenderClock;
  }) {
    this.#routes = parts.routes;
    this.#bundles = parts.bundles;
    this.#versions = parts.versions;
    this.#lastPointers = parts.lastPointers;
    this.#receipts = parts.receipts;
    this.#receiptPolicy = parts.receiptPolicy;
    this.#observer = parts.observer;
    this.#clock = parts.clock;
    this.#defaults = new Map(PROMPT_TYPES.map((type) => [type, compileBundle(defaultPrompt(type))]));
  }

  /**
   * @param violations those that reading the request found
   * @throws InvalidInput with all violations, RenderedTooLarge, NotFound, and Unavailable if min_seq is not applied in
   * time, a bundle is asked for that is not held while the stores are away, or the policy refuses renders without a
   * receipt and it is not kept. A render by type throws neither NotFound nor the second of these.
   */
  async render(call: RenderCall, input: RenderInput, violations = new Violations()): Promise<RenderResult> {
    const renderId = this.#clock.id();
    const started = this.#clock.monotonic();
    checkRenderInput(violations, input);
    violations.throwIfAny();
    const target = input.target!;
    const waits = input.minSeq > 0 || this.#routes.loaded === undefined;
    if (input.minSeq > 0) await this.#waitFor(input.minSeq, call);

    const last = this.#routes.loaded === undefined ? await this.#lastPointer(input, target) : undefined;
    const known = this.#known(input.tenant, last);
    const { seq, scope } = known;
    const warnings: Warning[] = [];
    if (!scope.known) warnings.push(tenantUnknown(input.tenant));
    if (!known.verified) warnings.push(pointersUnverified(seq));

    const sought = this.#seek(call, input, target, known);
    const isHeld = sought !== undefined && !(sought instanceof Promise);
    const { bundle, found } = isHeld ? sought : await this.#prompt(sought, input, target, known, warnings);
    if (call.shared && (waits || !isHeld)) {
      await call.shared.turn();
      call.signal.throwIfAborted();
    }
    const values = bundle?.variables.resolve(scope.variables, input.variables);
    if (values) {
      const problems = variableViolations(values);
      if (problems.length > 0) throw new InvalidInput(problems, 'VARIABLES_INVALID');
    }
    const placeholders = bundle ? named(bundle, input.placeholders) : NO_MESSAGES;
    const assembled = bundle ? bundle.assemble(values!, placeholders) : literal(input.fallbackText);
    call.shared?.take?.(Buffer.byteLength(assembled.text));
    warnAboutIgnored(warnings, values?.undeclared ?? given(input.variables), input.placeholders, placeholders);

    const variables = variablesDocument(values);
    const history = placeholdersDocument(placeholders);
    const { renderedHash, messagesHash } = hashesOf(assembled);
    const receipt: ReceiptRecord = {
      renderId,
      time: timeOf(renderId),
      durationUs: Math.round((this.#clock.monotonic() - started) * 1_000),
      requestedTenant: input.tenant,
      requestedBundleId: 'bundleId' in target ? target.bundleId : '',
      requestedVersion: 'bundleId' in target ? (target.version ?? '') : '',
      requestedType: 'type' in target ? target.type : '',
      capturePolicy: scope.capturePolicy,
      tenant: found?.answer.tenant ?? '',
      bundleId: found?.answer.bundleId ?? '',
      version: found?.answer.version ?? '',
      channel: found ? found.channel : channelOf(input, target),
      revision: found?.revision ?? 0,
      seq,
      source: found?.source ?? 'FALLBACK',
      renderedHash,
      bundleHash: bundle?.bundleHash ?? '',
      personalityHash: bundle?.personalityHash ?? '',
      constraintsHash: bundle?.constraintsHash ?? '',
      variablesHash: variables.hash,
      placeholdersHash: history.hash,
      messagesHash,
      rendererVersion: RENDERER_VERSION,
      caller: call.caller,
      requestId: input.requestId,
      labels: input.labels,
      traceId: call.traceId,
    };
    const fallbackText = bundle ? undefined : input.fallbackText;
    const captured = capture(scope.capturePolicy, variables, history, fallbackText);
    try {
      await this.#receipts.write(receipt, captured, this.#until(call, RECEIPT_WAIT_MS));
    } catch (error) {
      this.#notKept(receipt, error);
      warnings.push(receiptNotRecorded(renderId));
    }
    this.#observer.rendered((this.#clock.monotonic() - started) / 1_000);

    return {
      renderId,
      text: assembled.text,
      messages: assembled.messages,
      renderedHash,
      bundleHash: receipt.bundleHash,
      personalityHash: receipt.personalityHash,
      variablesHash: variables.hash,
      tenant: receipt.tenant,
      bundleId: receipt.bundleId,
      version: receipt.version,
      channel: receipt.channel,
      revision: receipt.revision,
      seq,
      source: receipt.source,
      modelConfig: bundle?.snapshot.modelConfig,
      constraints: bundle?.snapshot.constraints ?? [],
      warnings,
    };
  }

  /** A receipt that waits in the journal is late, not lost. @throws Unavailable if the policy refuses the render */
  #notKept(receipt: ReceiptRecord, error: unknown): void {
    const late = error instanceof ReceiptNotKept && error.journaled;
    if (late) this.#observer.receiptLate(receipt, error);
    if (this.#receiptPolicy === 'refuse') {
      throw new Unavailable(
        'RECEIPT_NOT_RECORDED',
        'the receipt of this render could not be recorded, and this server answers no render without one; try again',
        RETRY_DELAY_MS,
        { render_id: receipt.renderId },
        { cause: error },
      );
    }
    if (!late) this.#observer.receiptLost(receipt, error);
  }

  async #waitFor(minSeq: number, { deadline, signal }: RenderCall): Promise<void> {
    const until = deadline === undefined ? this.#clock.now() + MIN_SEQ_WAIT_MS : deadline - ANSWER_MARGIN_MS;
    if (await this.#routes.applied(minSeq, until, signal)) return;
    const appliedSeq = this.#routes.loaded?.seq ?? 0;
    throw new Unavailable(
      'SEQ_NOT_APPLIED',
      `this replica has applied change ${appliedSeq}, not yet ${minSeq}; try again`,
      RETRY_DELAY_MS,
      { min_seq: String(minSeq), applied_seq: String(appliedSeq) },
    );
  }

  /** What another replica left behind of a render by type; there are pointers for the default channel only. */
  async #lastPointer(input: RenderInput, target: RenderTarget): Promise<LastPointer | undefined> {
    if (!('type' in target) || channelOf(input, target) !== DEFAULT_CHANNEL) return undefined;
    return this.#lastPointers.find(input.tenant, target.type);
  }

  /** Read at once, so that all of it is of one version. Loaded pointers are better than one that was left behind. */
  #known(tenant: string, lastPointer: LastPointer | undefined): Known {
    const map = this.#routes.loaded;
    const last = map === undefined ? lastPointer : undefined;
    return {
      map,
      last,
      seq: map?.seq ?? last?.seq ?? 0,
      scope: map?.scope(tenant) ?? last?.scope ?? UNLOADED_SCOPE,
      verified: isVerified(this.#routes),
    };
  }

  /** What the pointers name, if it is in memory at once. Rejects with Unavailable if it does not come in time. */
  #seek(call: RenderCall, input: RenderInput, target: RenderTarget, known: Known): Sought {
    const until = this.#until(call, LOOKUP_WAIT_MS);
    const withBundle = (found: Found | undefined): Sought => {
      if (found === undefined) return undefined;
      const bundle = this.#bundles.get(found.answer.bundleHash);
      if (!(bundle instanceof Promise)) return { bundle, found };
      return this.#within(until, bundle).then((loaded) => ({ bundle: loaded, found }));
    };
    const found = this.#find(input, target, known);
    return found instanceof Promise ? this.#within(until, found).then(withBundle) : withBundle(found);
  }

  /** What is to be rendered: the answer's snapshot, or else the built-in default, or nothing but the fallback text. */
  async #prompt(
    sought: Sought,
    input: RenderInput,
    target: RenderTarget,
    known: Known,
    warnings: Warning[],
  ): Promise<Prompt> {
    let away: Unavailable | undefined;
    try {
      const prompt = await sought;
      if (prompt) return prompt;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      away = error;
    }
    const byType = 'type' in target;
    if (input.fallbackText === '' && !byType) {
      throw away ?? (known.scope.known ? notAnswered(input, target) : new NotFound('tenant', input.tenant));
    }
    const answeredWith = input.fallbackText === '' ? 'default' : 'text';
    const subject = byType ? target.type : target.bundleId;
    const reason = away ? 'stores_unavailable' : 'nothing_answers';
    this.#observer.fellBack({ tenant: input.tenant, target: subject, reason, answeredWith });
    warnings.push(fallbackUsed(subject, answeredWith));
    const bundle = byType && answeredWith === 'default' ? this.#defaults.get(target.type) : undefined;
    return { bundle, found: undefined };
  }

  /** When something that takes at most `waitMs` has to be given up, for the answer to come in time. */
  #until({ deadline }: RenderCall, waitMs: number): number {
    const until = this.#clock.now() + waitMs;
    return deadline === undefined ? until : Math.min(until, deadline - ANSWER_MARGIN_MS);
  }

  /** @throws Unavailable if what is sought does not come in time */
  async #within<T>(until: number, sought: Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const wait = Math.max(0, until - this.#clock.now());
    const timer = setTimeout(() => {
      reject(new Unavailable('DATABASE_UNAVAILABLE', `the database did not answer within ${wait} ms`, RETRY_DELAY_MS));
    }, wait);
    try {
      return await Promise.race([sought, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What the pointers name is known at once. Rejects with Unavailable if this replica has none that could tell. */
  #find(input: RenderInput, target: RenderTarget, known: Known): Found | undefined | Promise<Found | undefined> {
    const { tenant } = input;
    const { map, last, verified } = known;
    if (map === undefined && last === undefined) return Promise.reject(noPointers());
    if ('bundleId' in target && target.version !== undefined) {
      const { bundleId, version } = target;
      return this.#findVersion(map!, { tenant, bundleId, version }, verified ? 'PINNED' : 'STALE');
    }
    const channel = channelOf(input, target);
    const answer = map ? resolveRoute(map, tenant, target, channel) : last!.answer;
    return answer && { answer, channel, revision: answer.revision, source: sourceOf(answer, tenant, verified) };
  }

  async #findVersion(map: RouteMap, asked: AskedVersion, source: RenderSource): Promise<Found | undefined> {
    const { bundleId, version } = asked;
    const pinned = await findExactVersion(map, this.#versions, asked);
    return pinned && { answer: { ...pinned, bundleId, version }, channel: '', revision: 0, source };
  }
}

/** When a UUIDv7 was made (RFC 9562: it begins with 48 bits of milliseconds). */
function timeOf(renderId: string): Date {
  return new Date(Number.parseInt(renderId.slice(0, 8) + renderId.slice(9, 13), 16));
}

/** The channel that a render reads; an exact version reads none. */
function channelOf(input: RenderInput, target: RenderTarget): string {
  if ('type' in target) return input.channel || DEFAULT_CHANNEL;
  return target.version === undefined ? target.channel || DEFAULT_CHANNEL : '';
}

/** The messages that the bundle has a placeholder for. */
function named(
  bundle: CompiledBundle,
  sent: ReadonlyMap<string, readonly Message[]>,
): ReadonlyMap<string, readonly Message[]> {
  if (sent.size === 0) return NO_MESSAGES;
  return new Map([...sent].filter(([name, messages]) => messages.length > 0 && bundle.placeholders.includes(name)));
}

function literal(text: string): Assembled {
  return { messages: [{ role: 'SYSTEM', content: text }], text, emptySections: [] };
}

/** The values that the policy keeps, as JSON of CapturedInputs; undefined: none. What was hashed is not written again. */
function capture(
  policy: CapturePolicy,
  variables: Document,
  history: Document,
  fallbackText: string | undefined,
): string | undefined {
  if (policy === 'HASH_ONLY') return undefined;
  const placeholders = policy === 'FULL' ? `,"placeholders":${history.text}` : '';
  const fallback = fallbackText === undefined ? '' : `,"fallbackText":${JSON.stringify(fallbackText)}`;
  return `{"variables":${variables.text}${placeholders}${fallback}}`;
}

/** The names that have a value; null is none. */
function given(variables: JsonObject): string[] {
  return Object.keys(variables).filter((name) => variables[name] !== null);
}

function notAnswered(input: RenderInput, target: Exclude<RenderTarget, { type: PromptType }>): NotFound {
  const { tenant } = input;
  const { bundleId, version } = target;
  if (version !== undefined) return versionNotFound({ tenant, bundleId, version });
  const name = `${tenant}/${bundleId}#${channelOf(input, target)}`;
  return new NotFound('channel', name, 'neither the tenant nor an ancestor released the bundle on it');
}
