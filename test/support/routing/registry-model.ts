/**
 * What is written and what answers (spec section 3), over plain objects and by plain rules: written for legibility,
 * apart from the code that it is held against.
 */
import type { JsonObject } from '../../../src/domain/json.ts';
import type { CapturePolicy, PromptType } from '../../../src/domain/prompt-type.ts';
import type { RouteChange, RouteRows } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import { promptOf } from './marked-prompts.ts';

export const ROOT = 'default';

/** Everything that is written, as of one change. */
export interface Registry {
  readonly tenants: Record<string, Tenant>;
}

interface Tenant extends TenantValues {
  readonly bundles: Record<string, Bundle>;
  /** By type; none: deactivated. */
  readonly activations: Partial<Record<PromptType, string>>;
}

interface TenantValues {
  /** Empty for the root. */
  readonly parent: string;
  readonly variables: Readonly<Record<string, string | null>>;
  readonly capturePolicy: CapturePolicy;
}

interface Bundle {
  readonly type: PromptType;
  readonly archived: boolean;
  readonly versions: readonly Version[];
  /** All releases of each, the latest last. */
  readonly channels: Record<string, readonly Release[]>;
}

interface Version {
  readonly version: string;
  readonly bundleHash: string;
  /** What its text begins with; no other version's does. */
  readonly mark: string;
}

interface Release {
  readonly revision: number;
  readonly origin: number;
  /** None: withdrawn. */
  readonly target: Version | undefined;
}

/** One write that is one change. */
export type Write =
  | ({ readonly act: 'create tenant' | 'update tenant'; readonly tenant: string } & TenantValues)
  | { readonly act: 'create bundle'; readonly tenant: string; readonly bundleId: string; readonly type: PromptType }
  | { readonly act: 'save draft' | 'publish' | 'archive'; readonly tenant: string; readonly bundleId: string }
  | ({ readonly act: 'release'; readonly version: string } & ChannelName)
  | ({ readonly act: 'release latest' | 'roll back' | 'withdraw' } & ChannelName)
  | { readonly act: 'activate'; readonly tenant: string; readonly type: PromptType; readonly bundleId: string }
  | { readonly act: 'deactivate'; readonly tenant: string; readonly type: PromptType }
  | { readonly act: 'save template' };

interface ChannelName {
  readonly tenant: string;
  readonly bundleId: string;
  readonly channel: string;
}

/** What a change says, but for its place in the log. */
export type ChangeContent = Omit<RouteChange, 'seq' | 'chainHash'>;

/** What a write leads to. */
export interface Written {
  readonly registry: Registry;
  readonly content: ChangeContent;
}

/** What is rendered. */
export type Ask = { readonly tenant: string } & (
  | { readonly type: PromptType; readonly channel: string }
  | { readonly bundleId: string; readonly channel: string }
  | { readonly bundleId: string; readonly version: string }
);

/** What answers. */
export interface Answer {
  readonly tenant: string;
  readonly bundleId: string;
  readonly version: string;
  readonly bundleHash: string;
  readonly channel: string;
  readonly revision: number;
  readonly text: string;
}

export const EMPTY: Registry = { tenants: {} };

/**
 * @param mark what a published version is known by
 * @returns undefined: the write is refused
 */
export function written(registry: Registry, write: Write, mark: string): Written | undefined {
  if (write.act === 'save template') return { registry, content: change('UPDATE', 'TEMPLATE', ROOT, 'text', {}) };
  const tenant = registry.tenants[write.tenant];
  switch (write.act) {
    case 'create tenant': {
      const placed = write.tenant === ROOT ? write.parent === '' : isKnown(registry, write.parent);
      return tenant || !placed ? undefined : tenantWritten(registry, write, 'CREATE');
    }
    case 'update tenant': {
      const moves = tenant && tenant.parent !== write.parent;
      const cycle = moves && (write.tenant === ROOT || lineage(registry, write.parent).includes(write.tenant));
      const nowhere = moves && !isKnown(registry, write.parent);
      return !tenant || cycle || nowhere ? undefined : tenantWritten(registry, write, 'UPDATE');
    }
    case 'activate':
    case 'deactivate':
      return tenant && activationWritten(registry, tenant, write);
    default:
      return tenant && bundleWritten(registry, tenant, write, mark);
  }
}

function tenantWritten(
  registry: Registry,
  write: Extract<Write, TenantValues>,
  action: 'CREATE' | 'UPDATE',
): Written {
  const { tenant, parent, variables, capturePolicy } = write;
  const { bundles = {}, activations = {} } = registry.tenants[tenant] ?? {};
  return {
    registry: withTenant(registry, tenant, { parent, variables, capturePolicy, bundles, activations }),
    content: { ...change(action, 'TENANT', tenant, tenant, {}), tenantDocument: documentOfTenant(write) },
  };
}

function activationWritten(
  registry: Registry,
  tenant: Tenant,
  write: Extract<Write, { act: 'activate' | 'deactivate' }>,
): Written | undefined {
  const { type } = write;
  const bundleId = write.act === 'activate' ? write.bundleId : '';
  const holders = lineage(registry, write.tenant).map((id) => registry.tenants[id]!.bundles[bundleId]);
  const found = holders.some((bundle) => bundle && !bundle.archived && bundle.type === type);
  if (bundleId ? !found : !tenant.activations[type]) return undefined;
  const { [type]: _former, ...others } = tenant.activations;
  const activations = bundleId ? { ...others, [type]: bundleId } : others;
  return {
    registry: withTenant(registry, write.tenant, { ...tenant, activations }),
    content: change(write.act.toUpperCase(), 'ACTIVATION', write.tenant, type, { bundle_id: bundleId }),
  };
}

function bundleWritten(
  registry: Registry,
  tenant: Tenant,
  write: Exclude<Extract<Write, { bundleId: string }>, { act: 'activate' }>,
  mark: string,
): Written | undefined {
  const { bundleId } = write;
  const bundle = tenant.bundles[bundleId];
  const outcome = (action: string, changed: Bundle, detail: JsonObject): Written => ({
    registry: withTenant(registry, write.tenant, { ...tenant, bundles: { ...tenant.bundles, [bundleId]: changed } }),
    content: change(action, 'BUNDLE', write.tenant, bundleId, detail),
  });
  if (write.act === 'create bundle') {
    const { type } = write;
    return bundle ? undefined : outcome('CREATE', { type, archived: false, versions: [], channels: {} }, { type });
  }
  if (bundle === undefined || bundle.archived) return undefined;

  if ('channel' in write) {
    const { channel } = write;
    const releases = bundle.channels[channel] ?? [];
    const head = releases.at(-1);
    const move = (action: string, target: Version | undefined, origin = releases.length + 1): Written => {
      const release: Release = { revision: releases.length + 1, origin, target };
      const targets = target ? [{ version: target.version, bundle_hash: target.bundleHash, weight: 100 }] : [];
      const detail = { channel, revision: release.revision, origin_revision: origin, targets };
      const channels = { ...bundle.channels, [channel]: [...releases, release] };
      return outcome(action, { ...bundle, channels }, detail);
    };
    switch (write.act) {
      case 'release': {
        const version = bundle.versions.find((each) => each.version === write.version);
        return version && move('RELEASE', version);
      }
      case 'release latest': {
        const version = bundle.versions.at(-1);
        return version && move('RELEASE', version);
      }
      case 'withdraw':
        return head && move('WITHDRAW', undefined);
      case 'roll back': {
        const before = releases.filter(({ revision }) => head && revision < head.origin);
        const former = before.findLast(({ target }) => target && target.version !== head?.target?.version);
        return former && move('ROLLBACK', former.target, former.origin);
      }
    }
  }
  switch (write.act) {
    case 'save draft':
      return outcome('UPDATE', bundle, {});
    case 'publish': {
      const version = `1.0.${bundle.versions.length}`;
      const published = { version, bundleHash: promptOf(mark).hash, mark };
      return outcome('PUBLISH', { ...bundle, versions: [...bundle.versions, published] }, { version });
    }
    case 'archive': {
      const served = Object.values(bundle.channels).some((releases) => releases.at(-1)!.target);
      return served ? undefined : outcome('ARCHIVE', { ...bundle, archived: true }, {});
    }
  }
}

/** What answers, if anything does. */
export function answerTo(registry: Registry, ask: Ask): Answer | undefined {
  if ('type' in ask) return answerByType(registry, ask);
  return answerOfBundle(registry, ask.tenant, ask.bundleId, ask, () => true);
}

/** An unknown tenant is treated as the root. */
function answerByType(registry: Registry, { tenant, type, channel }: Extract<Ask, { type: PromptType }>) {
  const requesting = isKnown(registry, tenant) ? tenant : ROOT;
  for (const ancestor of lineage(registry, requesting)) {
    const bundleId = registry.tenants[ancestor]!.activations[type];
    if (bundleId === undefined) continue;
    const answer = answerOfBundle(registry, requesting, bundleId, { channel }, (bundle) => bundle.type === type);
    if (answer) return answer;
  }
  return undefined;
}

/** The tenant's own, else the nearest ancestor's that answers. */
function answerOfBundle(
  registry: Registry,
  requesting: string,
  bundleId: string,
  wanted: { channel: string } | { version: string },
  suits: (bundle: Bundle) => boolean,
): Answer | undefined {
  for (const tenant of lineage(registry, requesting)) {
    const bundle = registry.tenants[tenant]!.bundles[bundleId];
    if (bundle === undefined || bundle.archived || !suits(bundle)) continue;
    const byChannel = 'channel' in wanted;
    const release = byChannel ? bundle.channels[wanted.channel]?.at(-1) : undefined;
    const found = byChannel ? release?.target : bundle.versions.find(({ version }) => version === wanted.version);
    if (found === undefined) continue;
    const { version, bundleHash, mark } = found;
    const text = `${mark} for ${valueOf(registry, requesting, 'brand')} in ${valueOf(registry, requesting, 'tone')}`;
    const channel = byChannel ? wanted.channel : '';
    return { tenant, bundleId, version, bundleHash, channel, revision: release?.revision ?? 0, text };
  }
  return undefined;
}

function valueOf(registry: Registry, tenant: string, name: string): string {
  const values = lineage(registry, tenant).map((id) => registry.tenants[id]!.variables[name]);
  return values.find((value) => value !== null && value !== undefined) ?? 'unset';
}

export function isKnown(registry: Registry, tenant: string): boolean {
  return tenant in registry.tenants;
}

/** The policy that a tenant's receipts are written by. */
export function capturePolicyOf(registry: Registry, tenant: string): CapturePolicy {
  return (registry.tenants[tenant] ?? registry.tenants[ROOT]!).capturePolicy;
}

/** The first that were published of a bundle. */
export function versionsOf(registry: Registry, tenant: string, bundleId: string, count: number): readonly Version[] {
  return registry.tenants[tenant]!.bundles[bundleId]!.versions.slice(0, count);
}

/** The tenant and its ancestors, the root last; empty for an unknown one. */
function lineage(registry: Registry, tenant: string): string[] {
  const known = registry.tenants[tenant];
  return known ? [tenant, ...lineage(registry, known.parent)] : [];
}

/** The registry as its tables hold it. */
export function rowsOf(registry: Registry): RouteRows {
  const tenants = Object.entries(registry.tenants);
  const bundles = tenants.flatMap(([tenant, { bundles }]) => {
    return Object.entries(bundles).map(([bundleId, bundle]) => ({ tenant, bundleId, bundle }));
  });
  return {
    tenants: tenants.map(([tenant, values]) => ({ tenant, document: documentOfTenant(values) })),
    bundles: bundles.map(({ tenant, bundleId, bundle: { type, archived, versions } }) => {
      return { tenant, bundleId, type, archived, versions: versions.length };
    }),
    channels: bundles.flatMap(({ tenant, bundleId, bundle }) => {
      return Object.entries(bundle.channels).map(([channel, releases]) => {
        const { revision, target } = releases.at(-1)!;
        return { tenant, bundleId, channel, revision, targets: target ? [target] : [] };
      });
    }),
    activations: tenants.flatMap(([tenant, { activations }]) => {
      return Object.entries(activations).map(([type, bundleId]) => ({ tenant, type: type as PromptType, bundleId }));
    }),
  };
}

function documentOfTenant({ parent, variables, capturePolicy }: TenantValues): string {
  return tenantDocument({ parent, displayName: '', variables, capturePolicy }).text;
}

function withTenant(registry: Registry, id: string, tenant: Tenant): Registry {
  return { tenants: { ...registry.tenants, [id]: tenant } };
}

function change(
  action: string,
  entityKind: string,
  tenant: string,
  entityId: string,
  detail: JsonObject,
): ChangeContent {
  return { action, entityKind, tenant, entityId, detail, tenantDocument: '' };
}
