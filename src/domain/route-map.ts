import type { JsonObject } from './json.ts';
import type { CapturePolicy, PromptType } from './prompt-type.ts';
import { type ChannelHead, PointerTable } from './pointer-table.ts';
import { parseTenantDocument, ROOT_TENANT } from './tenant.ts';

/** The channel of a render that names none (spec section 1). */
export const DEFAULT_CHANNEL = 'production';

/** Pointers as they are read: bundles of these tenants, channels of these bundles, activations of these tenants. */
export interface RouteRows {
  readonly tenants: readonly { tenant: string; document: string }[];
  readonly bundles: readonly {
    tenant: string;
    bundleId: string;
    type: PromptType;
    archived: boolean;
    /** How many. */
    versions: number;
  }[];
  readonly channels: readonly ({ tenant: string; bundleId: string; channel: string } & ChannelHead)[];
  readonly activations: readonly { tenant: string; type: PromptType; bundleId: string }[];
}

/** Pointers at one point of the change log. */
export interface RouteSnapshot extends RouteRows {
  readonly seq: number;
  readonly chainHash: string;
}

/** A change as far as it moves pointers. */
export interface RouteChange {
  readonly seq: number;
  readonly chainHash: string;
  readonly action: string;
  readonly entityKind: string;
  readonly tenant: string;
  readonly entityId: string;
  readonly detail: JsonObject;
  /** The tenant's document after the change; empty for every other entity. */
  readonly tenantDocument: string;
}

/** Which release answers. */
export interface RouteAnswer {
  readonly tenant: string;
  readonly bundleId: string;
  readonly version: string;
  readonly bundleHash: string;
  readonly channel: string;
  readonly revision: number;
}

/** What can stand at a place that is looked at on the way to an answer; their meaning: `RouteFinding` of the API. */
export const ROUTE_FINDINGS = [
  'TENANT_UNKNOWN',
  'NOT_ACTIVATED',
  'ACTIVATED',
  'NO_BUNDLE',
  'ARCHIVED',
  'OTHER_TYPE',
  'NOT_RELEASED',
  'WITHDRAWN',
  'ANSWERS',
] as const;

export type RouteFinding = (typeof ROUTE_FINDINGS)[number];

/** One place that was looked at. */
export interface RouteStep {
  readonly tenant: string;
  readonly finding: RouteFinding;
  /** The bundle that is looked for, or that is activated; empty for a tenant that is unknown or activates none. */
  readonly bundleId: string;
  /** The channel's revision; 0 where nothing was ever released. */
  readonly revision: number;
}

/** Is told every place that is looked at, in order; the last one answers, if any does. */
export type RouteTrace = (step: RouteStep) => void;

/** What a tenant's place in the tree gives to its renders. */
export interface TenantScope {
  readonly known: boolean;
  /** Brand variables, the nearest tenant's first; null falls through to the ancestor. */
  readonly variables: JsonObject;
  readonly capturePolicy: CapturePolicy;
}

/** A bundle that may hold an exact version. */
export interface PinCandidate {
  readonly tenant: string;
  /** How many versions it has; what is known of a missing version holds for this number. */
  readonly versions: number;
}

interface TenantRoutes {
  readonly id: string;
  parent: string;
  variables: JsonObject;
  capturePolicy: CapturePolicy;
  /** Rows of the table of pointers. */
  readonly bundles: Map<string, number>;
  /** Bundle ids; empty: none any more. */
  readonly activations: Map<PromptType, string>;
}

/**
 * All pointers in memory (spec section 4). It is read and advanced synchronously, so whoever reads it without awaiting
 * in between sees one version of it, and it only moves forward in the order of the change log: there is no entry that
 * could be missing, stale or invalidated.
 */
export class RouteMap {
  readonly #tenants = new Map<string, TenantRoutes>();
  readonly #pointers = new PointerTable();
  #seq: number;
  #chainHash: string;

  constructor(snapshot: RouteSnapshot) {
    this.#seq = snapshot.seq;
    this.#chainHash = snapshot.chainHash;
    this.add(snapshot);
  }

  /** Adds more rows of the snapshot that the map is made of, before it is read or advanced. */
  add({ tenants = [], bundles = [], channels = [], activations = [] }: Partial<RouteRows>): void {
    for (const { tenant, document } of tenants) this.#putTenant(tenant, document);
    for (const { tenant, bundleId, type, archived, versions } of bundles) {
      this.#addBundle(tenant, bundleId, type, archived, versions);
    }
    for (const row of channels) this.#pointers.release(this.#bundle(row.tenant, row.bundleId), row.channel, row);
    for (const { tenant, type, bundleId } of activations) this.#activate(tenant, type, bundleId);
  }

  /** The last change that was applied. */
  get seq(): number {
    return this.#seq;
  }

  /** The chain hash of that change. */
  get chainHash(): string {
    return this.#chainHash;
  }

  /**
   * Applies the change that follows the last one.
   * @throws Error if another change lies between them
   */
  apply(change: RouteChange): void {
    if (change.seq !== this.#seq + 1) throw new Error(`change ${change.seq} cannot follow change ${this.#seq}`);
    this.#effect(change);
    this.#seq = change.seq;
    this.#chainHash = change.chainHash;
  }

  /** Every tenant, in no particular order. */
  tenants(): Iterable<string> {
    return this.#tenants.keys();
  }

  /** The tenant and its ancestors, the root last; for an unknown tenant the root alone. */
  lineage(tenant: string): readonly string[] {
    return this.#lineage(tenant).map(({ id }) => id);
  }

  /** What the tenant's place in the tree gives to its renders; an unknown tenant is treated as the root. */
  scope(tenant: string): TenantScope {
    const lineage = this.#lineage(tenant);
    const [{ variables, capturePolicy }] = lineage as [TenantRoutes];
    return {
      known: this.#tenants.has(tenant),
      variables: lineage.length === 1 ? variables : mergeNearestFirst(lineage.map((each) => each.variables)),
      capturePolicy,
    };
  }

  /**
   * The release that answers for a bundle: the tenant's own, else the nearest ancestor's.
   * @param trace is told every place that is looked at; it changes nothing about the answer
   */
  resolveBundle(tenant: string, bundleId: string, channel: string, trace?: RouteTrace): RouteAnswer | undefined {
    const asked = this.#tenants.get(tenant);
    if (asked) return this.#answer(asked, bundleId, channel, undefined, trace);
    trace?.({ tenant, finding: 'TENANT_UNKNOWN', bundleId: '', revision: 0 });
    return undefined;
  }

  /**
   * The release that answers for a type: the nearest activation names a bundle, which is resolved from the requesting
   * tenant; where none answers, the next ancestor's activation is tried. Only a bundle of that type answers. An unknown
   * tenant is treated as the root.
   * @param trace is told every place that is looked at; it changes nothing about the answer
   */
  resolveType(tenant: string, type: PromptType, channel: string, trace?: RouteTrace): RouteAnswer | undefined {
    const known = this.#tenants.get(tenant);
    if (!known) trace?.({ tenant, finding: 'TENANT_UNKNOWN', bundleId: '', revision: 0 });
    const asked = known ?? this.#tenant(ROOT_TENANT);
    for (let at: TenantRoutes | undefined = asked; at; at = this.#parent(at)) {
      const bundleId = at.activations.get(type) ?? '';
      trace?.({ tenant: at.id, finding: bundleId ? 'ACTIVATED' : 'NOT_ACTIVATED', bundleId, revision: 0 });
      const answer = bundleId && this.#answer(asked, bundleId, channel, type, trace);
      if (answer) return answer;
    }
    return undefined;
  }

  /** The unarchived bundles of this id with versions, the tenant's own first, then its ancestors'. */
  pinCandidates(tenant: string, bundleId: string): PinCandidate[] {
    const candidates: PinCandidate[] = [];
    for (let at = this.#tenants.get(tenant); at; at = this.#parent(at)) {
      const bundle = at.bundles.get(bundleId);
      if (bundle === undefined || this.#pointers.archived(bundle)) continue;
      const versions = this.#pointers.versions(bundle);
      if (versions > 0) candidates.push({ tenant: at.id, versions });
    }
    return candidates;
  }

  #answer(
    asked: TenantRoutes,
    bundleId: string,
    channel: string,
    type: PromptType | undefined,
    trace: RouteTrace | undefined,
  ): RouteAnswer | undefined {
    const pointers = this.#pointers;
    const channelNumber = pointers.number(channel);
    const typeNumber = type && pointers.number(type);
    for (let at: TenantRoutes | undefined = asked; at; at = this.#parent(at)) {
      const bundle = at.bundles.get(bundleId);
      if (bundle === undefined) {
        trace?.({ tenant: at.id, finding: 'NO_BUNDLE', bundleId, revision: 0 });
        continue;
      }
      const head = pointers.head(bundle, channelNumber);
      const finding = pointers.finding(bundle, head, typeNumber);
      const revision = pointers.revision(head);
      trace?.({ tenant: at.id, finding, bundleId, revision });
      if (finding === 'ANSWERS') {
        const [version, bundleHash] = [pointers.version(head), pointers.bundleHash(head)];
        return { tenant: at.id, bundleId, version, bundleHash, channel, revision };
      }
    }
    return undefined;
  }

  #lineage(tenant: string): TenantRoutes[] {
    const lineage = [this.#tenants.get(tenant) ?? this.#tenant(ROOT_TENANT)];
    for (let at = this.#parent(lineage[0]!); at; at = this.#parent(at)) lineage.push(at);
    return lineage;
  }

  #parent({ parent }: TenantRoutes): TenantRoutes | undefined {
    return parent === '' ? undefined : this.#tenant(parent);
  }

  #effect({ action, entityKind, tenant, entityId, detail, tenantDocument }: RouteChange): void {
    if (entityKind === 'TENANT') this.#putTenant(tenant, tenantDocument);
    if (entityKind === 'ACTIVATION') {
      this.#activate(tenant, entityId as PromptType, detail['bundle_id'] as string);
    }
    if (entityKind === 'BUNDLE') this.#bundleEffect(action, tenant, entityId, detail);
  }

  #bundleEffect(action: string, tenant: string, bundleId: string, detail: JsonObject): void {
    switch (action) {
      case 'CREATE':
        this.#addBundle(tenant, bundleId, detail['type'] as PromptType, false, 0);
        break;
      case 'PUBLISH':
        this.#pointers.addVersion(this.#bundle(tenant, bundleId));
        break;
      case 'ARCHIVE':
        this.#pointers.archive(this.#bundle(tenant, bundleId));
        break;
      case 'RELEASE':
      case 'ROLLBACK':
      case 'WITHDRAW': {
        const targets = detail['targets'] as unknown as { version: string; bundle_hash: string }[];
        this.#pointers.release(this.#bundle(tenant, bundleId), detail['channel'] as string, {
          revision: detail['revision'] as number,
          targets: targets.map(({ version, bundle_hash: bundleHash }) => ({ version, bundleHash })),
        });
        break;
      }
    }
  }

  #putTenant(id: string, document: string): void {
    const { parent, variables, capturePolicy } = parseTenantDocument(document);
    const known = this.#tenants.get(id);
    if (known) Object.assign(known, { parent, variables, capturePolicy });
    else {
      this.#tenants.set(id, { id, parent, variables, capturePolicy, bundles: new Map(), activations: new Map() });
    }
  }

  #addBundle(tenant: string, bundleId: string, type: PromptType, archived: boolean, versions: number): void {
    const row = this.#pointers.addBundle(type, archived, versions);
    this.#tenant(tenant).bundles.set(this.#pointers.shared(bundleId), row);
  }

  #activate(tenant: string, type: PromptType, bundleId: string): void {
    this.#tenant(tenant).activations.set(type, this.#pointers.shared(bundleId));
  }

  /** A tenant that the log has created. */
  #tenant(tenant: string): TenantRoutes {
    return this.#tenants.get(tenant)!;
  }

  /** The row of a bundle that the log has created. */
  #bundle(tenant: string, bundleId: string): number {
    return this.#tenant(tenant).bundles.get(bundleId)!;
  }
}

function mergeNearestFirst(layers: readonly JsonObject[]): JsonObject {
  const merged = new Map<string, JsonObject[string]>();
  for (const layer of layers) {
    for (const [name, value] of Object.entries(layer)) {
      if (value !== null && !merged.has(name)) merged.set(name, value);
    }
  }
  return Object.fromEntries(merged);
}
