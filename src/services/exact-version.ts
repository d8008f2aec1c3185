import { NotFound, Unavailable } from '../domain/errors.ts';
import type { RouteMap } from '../domain/route-map.ts';
import type { PinnedVersions, Routes } from './render-ports.ts';

const RETRY_DELAY_MS = 1_000;

/** An exact version of a bundle, as a caller asks for it. */
export interface AskedVersion {
  readonly tenant: string;
  readonly bundleId: string;
  readonly version: string;
}

/** The replica's pointers. @throws Unavailable before they are loaded first */
export function loadedPointers({ loaded }: Pick<Routes, 'loaded'>): RouteMap {
  if (loaded === undefined) throw noPointers();
  return loaded;
}

/** What is said before the pointers are loaded first. */
export function noPointers(): Unavailable {
  return new Unavailable('DATABASE_UNAVAILABLE', 'no pointers are loaded yet', RETRY_DELAY_MS);
}

/**
 * The snapshot of an exact version: the tenant's own, else the nearest ancestor's (spec section 3). Undefined: neither
 * has it, or the tenant is unknown.
 * @throws Unavailable if it is not held and the database is away
 */
export function findExactVersion(
  map: RouteMap,
  versions: PinnedVersions,
  { tenant, bundleId, version }: AskedVersion,
): Promise<{ tenant: string; bundleHash: string } | undefined> {
  return versions.find(map.pinCandidates(tenant, bundleId), bundleId, version);
}

/** What is said of a version that neither the tenant nor an ancestor has. */
export function versionNotFound({ tenant, bundleId, version }: AskedVersion): NotFound {
  const name = `${tenant}/${bundleId}@${version}`;
  return new NotFound('bundle_version', name, 'neither the tenant nor an ancestor published it');
}
