import type { JsonObject } from '../../../src/domain/json.ts';
import type { CapturePolicy, PromptType } from '../../../src/domain/prompt-type.ts';
import type { PinCandidate, RouteAnswer, RouteStep, TenantScope } from '../../../src/domain/route-map.ts';

export interface ReferenceBundle {
  readonly type: PromptType;
  archived: boolean;
  versions: number;
  /** By channel; `version` is missing where it is withdrawn. */
  readonly channels: Record<string, { revision: number; version?: string; bundleHash?: string }>;
}

export interface ReferenceTenant {
  parent: string;
  variables: JsonObject;
  capturePolicy: CapturePolicy;
  readonly bundles: Record<string, ReferenceBundle>;
  /** By type; empty where it was taken back. */
  readonly activations: Record<string, string>;
}

/**
 * Resolution as the specification words it, over plain objects: what the route map is held against. It shares nothing
 * with it.
 */
export class ReferenceRoutes {
  readonly tenants: Record<string, ReferenceTenant> = {};

  /** "An unknown tenant … is [default]" */
  lineage(tenant: string): string[] {
    const known = this.tenants[tenant];
    if (!known) return this.lineage('default');
    return known.parent ? [tenant, ...this.lineage(known.parent)] : [tenant];
  }

  scope(tenant: string): TenantScope {
    const lineage = this.lineage(tenant);
    const layers = lineage.toReversed().map((id) => this.tenants[id]!.variables);
    const values = layers.flatMap((layer) => Object.entries(layer));
    const variables = Object.fromEntries(values.filter(([, value]) => value !== null || layers.length === 1));
    return { known: tenant in this.tenants, variables, capturePolicy: this.tenants[lineage[0]!]!.capturePolicy };
  }

  /** "By bundle: the tenant, else the nearest ancestor that answers." */
  resolveBundle(tenant: string, bundleId: string, channel: string): RouteAnswer | undefined {
    if (!(tenant in this.tenants)) return undefined;
    return this.lineage(tenant)
      .map((id) => this.#answerOf(id, bundleId, channel))
      .find((answer) => answer !== undefined);
  }

  /**
   * "The nearest activation (own, then ancestors) names a `bundle_id`, resolved from the requesting tenant; if nothing
   * answers, the next ancestor's activation." Only a bundle of the type answers.
   */
  resolveType(tenant: string, type: PromptType, channel: string): RouteAnswer | undefined {
    const lineage = this.lineage(tenant);
    return lineage
      .map((id) => this.tenants[id]!.activations[type])
      .filter((bundleId) => bundleId !== undefined && bundleId !== '')
      .flatMap((bundleId) => lineage.map((id) => ({ id, bundleId: bundleId! })))
      .filter(({ id, bundleId }) => this.tenants[id]!.bundles[bundleId]?.type === type)
      .map(({ id, bundleId }) => this.#answerOf(id, bundleId, channel))
      .find((answer) => answer !== undefined);
  }

  pinCandidates(tenant: string, bundleId: string): PinCandidate[] {
    if (!(tenant in this.tenants)) return [];
    return this.lineage(tenant)
      .map((id) => ({ tenant: id, bundle: this.tenants[id]!.bundles[bundleId] }))
      .filter(({ bundle }) => bundle && !bundle.archived && bundle.versions > 0)
      .map(({ tenant: id, bundle }) => ({ tenant: id, versions: bundle!.versions }));
  }

  explainBundle(tenant: string, bundleId: string, channel: string): RouteStep[] {
    if (!(tenant in this.tenants)) return [{ tenant, finding: 'TENANT_UNKNOWN', bundleId: '', revision: 0 }];
    return upToAnswer(this.lineage(tenant).map((id) => this.#stepOf(id, bundleId, channel, undefined)));
  }

  explainType(tenant: string, type: PromptType, channel: string): RouteStep[] {
    const unknown = { tenant, finding: 'TENANT_UNKNOWN', bundleId: '', revision: 0 } as const;
    const lineage = this.lineage(tenant);
    const steps = lineage.flatMap((id): RouteStep[] => {
      const bundleId = this.tenants[id]!.activations[type] ?? '';
      if (bundleId === '') return [{ tenant: id, finding: 'NOT_ACTIVATED', bundleId, revision: 0 }];
      const looks = lineage.map((each) => this.#stepOf(each, bundleId, channel, type));
      return [{ tenant: id, finding: 'ACTIVATED', bundleId, revision: 0 }, ...looks];
    });
    return upToAnswer([...(tenant in this.tenants ? [] : [unknown]), ...steps]);
  }

  /** "Its own bundle has a release on that channel; drafts and archived bundles never shadow." */
  #answerOf(tenant: string, bundleId: string, channel: string): RouteAnswer | undefined {
    const bundle = this.tenants[tenant]!.bundles[bundleId];
    const head = bundle?.channels[channel];
    if (!bundle || bundle.archived || head?.version === undefined) return undefined;
    return { tenant, bundleId, version: head.version, bundleHash: head.bundleHash!, channel, revision: head.revision };
  }

  #stepOf(tenant: string, bundleId: string, channel: string, type: PromptType | undefined): RouteStep {
    const bundle = this.tenants[tenant]!.bundles[bundleId];
    const head = bundle?.channels[channel];
    const step = (finding: RouteStep['finding']) => ({ tenant, finding, bundleId, revision: head?.revision ?? 0 });
    if (!bundle) return step('NO_BUNDLE');
    if (bundle.archived) return step('ARCHIVED');
    if (type && bundle.type !== type) return step('OTHER_TYPE');
    if (!head) return step('NOT_RELEASED');
    return step(head.version === undefined ? 'WITHDRAWN' : 'ANSWERS');
  }
}

function upToAnswer(steps: readonly RouteStep[]): RouteStep[] {
  const answer = steps.findIndex(({ finding }) => finding === 'ANSWERS');
  return answer < 0 ? [...steps] : steps.slice(0, answer + 1);
}
