import type { JsonObject } from './json.ts';
import type { CapturePolicy, PromptType } from './prompt-type.ts';
import { parseTenantDocument, ROOT_TENANT } from './tenant.ts';

/** The channel of a render that names none (spec section 1). */
export const DEFAULT_CHANNEL = 'production';

/** All pointers at one point of the change log. */
export interface RouteSnapshot {
  readonly seq: number;
  readonly chainHash: string;
  readonly tenants: readonly { tenant: string; document: string }[];
  readonly bundles: readonly { tenant: string; bundleId: string; type: PromptType; archived: boolean; versions: number }[];
  readonly channels: readonly ({ tenant: string; bundleId: string; channel: string } & ChannelHead)[];
  readonly activations: readonly { tenant: string; type: PromptType; bundleId: string }[];
}

/** Where a channel points. */
export interface ChannelHead {
  readonly revision: number;
  /** None: the channel is withdrawn. */
  readonly targets: readonly { version: string; bundleHash: string }[];
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
  parent: string;
  variables: JsonObject;
  capturePolicy: CapturePolicy;
  readonly bundles: Map<string, BundleRoutes>;
  readonly activations: Map<PromptType, string>;
}

interface BundleRoutes {
  readonly type: PromptType;
  archived: boolean;
  versions: number;
  readonly channels: Map<string, ChannelHead>;
}

/**
 * All pointers in memory (spec section 4). It is read and advanced synchronously, so whoever reads it without awaiting
 * in between sees one version of it, and it only moves forward in the order of the change log: there is no entry that
 * could be missing, stale or invalidated.
 */
export class RouteMap {
  readonly #tenants = new Map<string, TenantRoutes>();
  #seq: number;
  #chainHash: string;

  constructor(snapshot: RouteSnapshot) {
    this.#seq = snapshot.seq;
    this.#chainHash = snapshot.chainHash;
    for (const { tenant, document } of snapshot.tenants) this.#putTenant(tenant, document);
    for (const { tenant, bundleId, type, archived, versions } of snapshot.bundles) {
      this.#tenant(tenant).bundles.set(bundleId, { type, archived, versions, channels: new Map() });
    }
    for (const { tenant, bundleId, channel, revision, targets } of snapshot.channels) {
      this.#bundle(tenant, bundleId).channels.set(channel, { revision, targets });
    }
    for (const { tenant, type, bundleId } of snapshot.activations) {
      this.#tenant(tenant).activations.set(type, bundleId);
    }
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

  /** What the tenant's place in the tree gives to its renders; an unknown tenant is treated as the root. */
  scope(tenant: string): TenantScope {
    const lineage = this.#lineage(tenant);
    const layers = lineage.map((id) => this.#tenant(id).variables);
    return {
      known: this.#tenants.has(tenant),
      variables: layers.length === 1 ? layers[0]! : mergeNearestFirst(layers),
      capturePolicy: this.#tenant(lineage[0]!).capturePolicy,
    };
  }

  /** The release that answers for a bundle: the tenant's own, else the nearest ancestor's. */
  resolveBundle(tenant: string, bundleId: string, channel: string): RouteAnswer | undefined {
    if (!this.#tenants.has(tenant)) return undefined;
    return this.#answer(this.#lineage(tenant), bundleId, channel, undefined);
  }

  /**
   * The release that answers for a type: the nearest activation names a bundle, which is resolved from the requesting
   * tenant; where none answers, the next ancestor's activation is tried. Only a bundle of that type answers.
   */
  resolveType(tenant: string, type: PromptType, channel: string): RouteAnswer | undefined {
    const lineage = this.#lineage(tenant);
    for (const id of lineage) {
      const bundleId = this.#tenant(id).activations.get(type);
      const answer = bundleId && this.#answer(lineage, bundleId, channel, type);
      if (answer) return answer;
    }
    return undefined;
  }

  /** The unarchived bundles of this id with versions, the tenant's own first, then its ancestors'. */
  pinCandidates(tenant: string, bundleId: string): PinCandidate[] {
    if (!this.#tenants.has(tenant)) return [];
    return this.#lineage(tenant).flatMap((id) => {
      const bundle = this.#tenant(id).bundles.get(bundleId);
      return bundle && !bundle.archived && bundle.versions > 0 ? [{ tenant: id, versions: bundle.versions }] : [];
    });
  }

  #answer(
    lineage: readonly string[],
    bundleId: string,
    channel: string,
    type: PromptType | undefined,
  ): RouteAnswer | undefined {
    for (const tenant of lineage) {
      const bundle = this.#tenant(tenant).bundles.get(bundleId);
      if (bundle === undefined || bundle.archived || (type !== undefined && bundle.type !== type)) continue;
      const head = bundle.channels.get(channel);
      const target = head?.targets[0];
      if (head && target) {
        const { version, bundleHash } = target;
        return { tenant, bundleId, version, bundleHash, channel, revision: head.revision };
      }
    }
    return undefined;
  }

  #lineage(tenant: string): string[] {
    const lineage: string[] = [];
    for (let id = this.#tenants.has(tenant) ? tenant : ROOT_TENANT; id !== ''; id = this.#tenant(id).parent) {
      lineage.push(id);
    }
    return lineage;
  }

  #effect({ action, entityKind, tenant, entityId, detail, tenantDocument }: RouteChange): void {
    if (entityKind === 'TENANT') this.#putTenant(tenant, tenantDocument);
    if (entityKind === 'ACTIVATION') {
      this.#tenant(tenant).activations.set(entityId as PromptType, detail['bundle_id'] as string);
    }
    if (entityKind === 'BUNDLE') this.#bundleEffect(action, tenant, entityId, detail);
  }

  #bundleEffect(action: string, tenant: string, bundleId: string, detail: JsonObject): void {
    switch (action) {
      case 'CREATE': {
        const type = detail['type'] as PromptType;
        this.#tenant(tenant).bundles.set(bundleId, { type, archived: false, versions: 0, channels: new Map() });
        break;
      }
      case 'PUBLISH':
        this.#bundle(tenant, bundleId).versions += 1;
        break;
      case 'ARCHIVE':
        this.#bundle(tenant, bundleId).archived = true;
        break;
      case 'RELEASE':
      case 'ROLLBACK':
      case 'WITHDRAW':
        this.#bundle(tenant, bundleId).channels.set(detail['channel'] as string, {
          revision: detail['revision'] as number,
          targets: (detail['targets'] as unknown as { version: string; bundle_hash: string }[]).map((target) => ({
            version: target.version,
            bundleHash: target.bundle_hash,
          })),
        });
        break;
    }
  }

  #putTenant(tenant: string, document: string): void {
    const { parent, variables, capturePolicy } = parseTenantDocument(document);
    const routes = this.#tenants.get(tenant);
    if (routes) Object.assign(routes, { parent, variables, capturePolicy });
    else this.#tenants.set(tenant, { parent, variables, capturePolicy, bundles: new Map(), activations: new Map() });
  }

  /** A tenant that the log has created. */
  #tenant(tenant: string): TenantRoutes {
    return this.#tenants.get(tenant)!;
  }

  /** A bundle that the log has created. */
  #bundle(tenant: string, bundleId: string): BundleRoutes {
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
