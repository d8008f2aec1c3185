/** How a render by bundle or type finds what answers, and what is said of it: of renders and explanations alike. */
import type { PromptType } from '../domain/prompt-type.ts';
import type { RouteAnswer, RouteMap, RouteTrace } from '../domain/route-map.ts';
import type { Routes } from './render-ports.ts';
import type { RenderSource } from './trail.ts';

/** Pointers that were not verified for this long make every answer STALE (spec section 4). */
export const STALE_AFTER_MS = 3_000;

/** What is resolved: a bundle, or whatever is activated for a type. */
export type RouteTarget = { readonly bundleId: string } | { readonly type: PromptType };

/** @param trace is told every place that is looked at */
export function resolveRoute(
  map: RouteMap,
  tenant: string,
  target: RouteTarget,
  channel: string,
  trace?: RouteTrace,
): RouteAnswer | undefined {
  if ('type' in target) return map.resolveType(tenant, target.type, channel, trace);
  return map.resolveBundle(tenant, target.bundleId, channel, trace);
}

export function isVerified(routes: Pick<Routes, 'unverifiedMs'>): boolean {
  return routes.unverifiedMs() <= STALE_AFTER_MS;
}

/** The source of an answer that a channel gave (spec section 2). */
export function sourceOf(answer: RouteAnswer, tenant: string, verified: boolean): RenderSource {
  if (!verified) return 'STALE';
  return answer.tenant === tenant ? 'ACTIVE' : 'INHERITED';
}
