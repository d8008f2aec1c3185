import type { PromptType } from '../../src/domain/prompt-type.ts';
import type { RouteAnswer, RouteRows } from '../../src/domain/route-map.ts';
import { parseTenantDocument } from '../../src/domain/tenant.ts';

interface Bundle {
  readonly type: PromptType;
  readonly archived: boolean;
  readonly versions: number;
  readonly channels: Map<string, Omit<RouteRows['channels'][number], 'tenant' | 'bundleId' | 'channel'>>;
}

interface Tenant {
  readonly parent: string;
  readonly variables: object;
  readonly capturePolicy: string;
  readonly bundles: Map<string, Bundle>;
  readonly activations: Map<string, string>;
}

/** Pointers as one would write them down first: maps of objects with maps. What the route map is compared with. */
export class PlainRoutes {
  readonly #tenants = new Map<string, Tenant>();

  add({ tenants = [], bundles = [], channels = [], activations = [] }: Partial<RouteRows>): void {
    for (const { tenant, document } of tenants) {
      const { parent, variables, capturePolicy } = parseTenantDocument(document);
      this.#tenants.set(tenant, { parent, variables, capturePolicy, bundles: new Map(), activations: new Map() });
    }
    for (const { tenant, bundleId, type, archived, versions } of bundles) {
      this.#tenants.get(tenant)!.bundles.set(bundleId, { type, archived, versions, channels: new Map() });
    }
    for (const { tenant, bundleId, channel, revision, targets } of channels) {
      this.#tenants.get(tenant)!.bundles.get(bundleId)!.channels.set(channel, { revision, targets });
    }
    for (const { tenant, type, bundleId } of activations) this.#tenants.get(tenant)!.activations.set(type, bundleId);
  }

  resolveBundle(tenant: string, bundleId: string, channel: string): RouteAnswer | undefined {
    return this.#answer(this.#lineage(tenant), bundleId, channel, undefined);
  }

  resolveType(tenant: string, type: PromptType, channel: string): RouteAnswer | undefined {
    const lineage = this.#lineage(tenant);
    for (const id of lineage) {
      const bundleId = this.#tenants.get(id)!.activations.get(type);
      const answer = bundleId && this.#answer(lineage, bundleId, channel, type);
      if (answer) return answer;
    }
    return undefined;
  }

  #answer(lineage: readonly string[], bundleId: string, channel: string, type?: PromptType): RouteAnswer | undefined {
    for (const tenant of lineage) {
      const bundle = this.#tenants.get(tenant)!.bundles.get(bundleId);
      if (bundle === undefined || bundle.archived || (type !== undefined && bundle.type !== type)) continue;
      const head = bundle.channels.get(channel);
      const target = head?.targets[0];
      if (head && target) return { tenant, bundleId, ...target, channel, revision: head.revision };
    }
    return undefined;
  }

  #lineage(tenant: string): string[] {
    const lineage: string[] = [];
    for (let id = tenant; id !== ''; id = this.#tenants.get(id)!.parent) lineage.push(id);
    return lineage;
  }
}
