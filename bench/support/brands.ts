import { createHash } from 'node:crypto';
import { PROMPT_TYPES, type PromptType } from '../../src/domain/prompt-type.ts';
import type { RouteRows } from '../../src/domain/route-map.ts';
import { ROOT_TENANT, tenantDocument } from '../../src/domain/tenant.ts';

export const CHANNEL = 'production';

const PAGE = 1_000;

/**
 * Brands with bundles of their own under the root, and a chain of tenants without any: `deep-1` is a child of the root,
 * `deep-2` its child, and so on. The root activates `bundle-0` to `bundle-5`, one per type, and all brands the same.
 */
export interface Brands {
  readonly brands: number;
  readonly bundles: number;
  readonly depth: number;
}

/** The rows in pages, in the order in which a map takes them. Every string is a new one, as from a database. */
export function* pagesOf({ brands, bundles, depth }: Brands): Generator<Partial<RouteRows>> {
  const names = [ROOT_TENANT, ...Array.from({ length: brands }, (_, brand) => brandId(brand))];
  const chain = Array.from({ length: depth }, (_, level) => deepId(level + 1));
  const tree = [
    ...names.map((id) => ({ id, parent: id === ROOT_TENANT ? '' : ROOT_TENANT })),
    ...chain.map((id, level) => ({ id, parent: deepId(level) })),
  ];
  for (const page of paged(tree)) {
    yield { tenants: page.map(({ id, parent }) => ({ tenant: fresh(id), document: document(parent) })) };
  }
  const owned = function* () {
    for (const tenant of names) for (let bundle = 0; bundle < bundles; bundle += 1) yield { tenant, bundle };
  };
  for (const page of paged(owned())) {
    yield {
      bundles: page.map(({ tenant, bundle }) => ({
        tenant: fresh(tenant),
        bundleId: fresh(bundleId(bundle)),
        type: fresh(typeOf(bundle)) as PromptType,
        archived: false,
        versions: 3,
      })),
    };
  }
  for (const page of paged(owned())) {
    yield {
      channels: page.map(({ tenant, bundle }) => ({
        tenant: fresh(tenant),
        bundleId: fresh(bundleId(bundle)),
        channel: fresh(CHANNEL),
        revision: 3,
        targets: [{ version: fresh(`1.${bundle % 20}.0`), bundleHash: hash(`${tenant} ${bundle}`) }],
      })),
    };
  }
  const activated = function* () {
    for (const tenant of names) for (const bundle of PROMPT_TYPES.keys()) yield { tenant, bundle };
  };
  for (const page of paged(activated())) {
    yield {
      activations: page.map(({ tenant, bundle }) => ({
        tenant: fresh(tenant),
        type: fresh(typeOf(bundle)) as PromptType,
        bundleId: fresh(bundleId(bundle)),
      })),
    };
  }
}

export function brandId(brand: number): string {
  return `brand-${brand}`;
}

/** @param level 0: the root */
export function deepId(level: number): string {
  return level === 0 ? ROOT_TENANT : `deep-${level}`;
}

export function bundleId(bundle: number): string {
  return `bundle-${bundle}`;
}

function typeOf(bundle: number): PromptType {
  return PROMPT_TYPES[bundle % PROMPT_TYPES.length]!;
}

function document(parent: string): string {
  return tenantDocument({ parent, displayName: '', variables: {}, capturePolicy: 'VARIABLES' }).text;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function fresh(text: string): string {
  return Buffer.from(text).toString();
}

function* paged<T>(rows: Iterable<T>): Generator<T[]> {
  let page: T[] = [];
  for (const row of rows) {
    page.push(row);
    if (page.length < PAGE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
