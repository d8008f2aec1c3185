import { Violations } from '../domain/errors.ts';
import { MAX_ASKED_ID_CHARACTERS } from '../domain/limits.ts';
import { DEFAULT_CHANNEL, type RouteAnswer, type RouteStep } from '../domain/route-map.ts';
import { checkLength } from '../domain/text.ts';
import { loadedPointers } from './exact-version.ts';
import type { Routes } from './render-ports.ts';
import { isVerified, resolveRoute, sourceOf, type RouteTarget } from './route-resolution.ts';
import type { RenderSource } from './trail.ts';

export interface RouteInput {
  readonly tenant: string;
  readonly target: RouteTarget | undefined;
  /** Empty: `production`. */
  readonly channel: string;
}

/** The way to an answer, all of it of one version of the pointers. */
export interface RouteExplanation {
  readonly seq: number;
  readonly chainHash: string;
  /** When the pointers were last known to be the database's. */
  readonly verifiedTime: Date;
  /** What a render would say of its source now. */
  readonly source: RenderSource;
  /** Every place that was looked at, in order. */
  readonly steps: readonly RouteStep[];
  /** The channel that was read. */
  readonly channel: string;
  /** Undefined: nothing answers. */
  readonly answer: RouteAnswer | undefined;
}

/** Tells why a prompt answers (spec section 4): from this replica's pointers alone, without a trace. */
export class RouteService {
  readonly #routes: Omit<Routes, 'applied'>;

  constructor(routes: Omit<Routes, 'applied'>) {
    this.#routes = routes;
  }

  /**
   * Looks where a render would look, and remembers what stands there. That nothing answers is no error here.
   * @param violations those that reading the request found
   * @throws InvalidInput with all violations, and Unavailable before the pointers are loaded first
   */
  explain(input: RouteInput, violations = new Violations()): RouteExplanation {
    checkInput(violations, input);
    violations.throwIfAny();
    const map = loadedPointers(this.#routes);
    const channel = input.channel || DEFAULT_CHANNEL;
    const steps: RouteStep[] = [];
    const { tenant, target } = input;
    const answer = resolveRoute(map, tenant, target!, channel, (step) => steps.push(step));
    const { seq, chainHash } = map;
    const source = answer ? sourceOf(answer, tenant, isVerified(this.#routes)) : 'FALLBACK';
    return { seq, chainHash, verifiedTime: new Date(this.#routes.verifiedAt), source, steps, channel, answer };
  }
}

/** Of ids only the length is checked, as of a render: one that cannot exist is unknown. */
function checkInput(violations: Violations, { tenant, target, channel }: RouteInput): void {
  checkLength(violations, 'tenant', tenant, MAX_ASKED_ID_CHARACTERS);
  checkLength(violations, 'channel', channel, MAX_ASKED_ID_CHARACTERS);
  if (target === undefined) violations.add('target', 'REQUIRED', 'name a bundle or a type');
  else if ('bundleId' in target) {
    if (target.bundleId === '') violations.add('bundle_id', 'REQUIRED', 'name the bundle');
    checkLength(violations, 'bundle_id', target.bundleId, MAX_ASKED_ID_CHARACTERS);
  }
}
