import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { JsonObject } from '../../src/domain/json.ts';
import type { CapturePolicy, PromptType } from '../../src/domain/prompt-type.ts';
import { RouteMap, type RouteChange, type RouteRows, type RouteStep } from '../../src/domain/route-map.ts';
import { tenantDocument } from '../../src/domain/tenant.ts';
import { ReferenceRoutes, type ReferenceBundle, type ReferenceTenant } from '../support/routing/reference-routes.ts';

const TENANTS = ['default', 'acme', 'acme-kids', 'beta', 'beta-eu', 'gamma'];
const BUNDLES = ['hello', 'welcome', 'bye'];
/** So many that a bundle with all of them finds them otherwise than one with few. */
const CHANNELS = ['production', ...Array.from({ length: 11 }, (_, n) => `channel-${n}`)];
const TYPES: readonly PromptType[] = ['GREETING', 'FAREWELL', 'HANDOFF'];
const ROOT = { parent: '', variables: { tone: 'plain' }, capturePolicy: 'VARIABLES' } as const;
const EMPTY_ROWS: RouteRows = { tenants: [], bundles: [], channels: [], activations: [] };

function attempt<const K extends string, T>(kind: K, parts: { [P in keyof T]: fc.Arbitrary<T[P]> }) {
  return fc.record(parts).map((part) => ({ kind, ...part }));
}

/** Some places are written to more than others. */
const tenant = fc.constantFrom('default', 'default', 'default', 'acme', ...TENANTS);
const bundleId = fc.constantFrom('hello', 'hello', ...BUNDLES);
const channel = fc.oneof(fc.constant('production'), fc.constantFrom(...CHANNELS));
const type = fc.constantFrom(...TYPES);
const version = fc.constantFrom('1.0.0', '1.1.0', '2.0.0-rc.1');
const variables: fc.Arbitrary<JsonObject> = fc.dictionary(
  fc.constantFrom('tone', 'brand', 'name'),
  fc.constantFrom('dry', 'warm', 7, null),
  { maxKeys: 3 },
);
const capturePolicy = fc.constantFrom<CapturePolicy>('FULL', 'VARIABLES', 'HASH_ONLY');

/** A write that somebody tries; one that is not possible is left out. */
const write = fc.oneof(
  { weight: 3, arbitrary: attempt('TENANT', { tenant, parent: tenant, variables, capturePolicy }) },
  { weight: 4, arbitrary: attempt('CREATE', { tenant, bundleId, type }) },
  { weight: 2, arbitrary: attempt('PUBLISH', { tenant, bundleId, version }) },
  { weight: 1, arbitrary: attempt('ARCHIVE', { tenant, bundleId }) },
  { weight: 15, arbitrary: attempt('RELEASE', { tenant, bundleId, channel, version }) },
  { weight: 2, arbitrary: attempt('ROLLBACK', { tenant, bundleId, channel, version }) },
  { weight: 2, arbitrary: attempt('WITHDRAW', { tenant, bundleId, channel }) },
  { weight: 3, arbitrary: attempt('ACTIVATE', { tenant, type, bundleId }) },
  { weight: 1, arbitrary: attempt('DEACTIVATE', { tenant, type }) },
  { weight: 1, arbitrary: attempt('TEMPLATE', { tenant }) },
);
type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;

const history = fc.array(write, { maxLength: 200, size: 'max' });

function hashOf(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(parts.join(' ')).digest('hex');
}

function documentOf(content: Pick<ReferenceTenant, 'parent' | 'variables' | 'capturePolicy'>): string {
  const { parent, variables: held, capturePolicy: policy } = content;
  return tenantDocument({ parent, displayName: '', variables: held, capturePolicy: policy }).text;
}

/** A registry as its log and as its state. */
class World {
  readonly reference = new ReferenceRoutes();
  readonly changes: RouteChange[] = [];

  constructor(writes: readonly Write[]) {
    this.reference.tenants['default'] = { ...ROOT, bundles: {}, activations: {} };
    for (const each of writes) this.#write(each);
  }

  get head() {
    const { seq, chainHash } = this.changes.at(-1) ?? { seq: 1, chainHash: 'c1' };
    return { seq, chainHash };
  }

  /** The map as a replica has it that was there from the start. */
  followed(): RouteMap {
    const tenants = [{ tenant: 'default', document: documentOf(ROOT) }];
    const map = new RouteMap({ seq: 1, chainHash: 'c1', ...EMPTY_ROWS, tenants });
    for (const change of this.changes) map.apply(change);
    return map;
  }

  /** The map as a replica has it that loads now, in pages; children may come before their parents. */
  loaded(pageRows: number): RouteMap {
    const map = new RouteMap({ ...this.head, ...EMPTY_ROWS });
    const rows = this.#rows();
    for (const tenants of paged(rows.tenants.toReversed(), pageRows)) map.add({ tenants });
    for (const bundles of paged(rows.bundles, pageRows)) map.add({ bundles });
    for (const channels of paged(rows.channels, pageRows)) map.add({ channels });
    for (const activations of paged(rows.activations, pageRows)) map.add({ activations });
    return map;
  }

  #rows(): RouteRows {
    const tenants = Object.entries(this.reference.tenants);
    const bundles = tenants.flatMap(([tenantId, { bundles: own }]) =>
      Object.entries(own).map(([id, bundle]) => ({ tenant: tenantId, bundleId: id, ...bundle })),
    );
    return {
      tenants: tenants.map(([tenantId, content]) => ({ tenant: tenantId, document: documentOf(content) })),
      bundles,
      channels: bundles.flatMap(({ tenant: tenantId, bundleId: id, channels }) =>
        Object.entries(channels).map(([name, { revision, version: released, bundleHash }]) => ({
          tenant: tenantId,
          bundleId: id,
          channel: name,
          revision,
          targets: released === undefined ? [] : [{ version: released, bundleHash: bundleHash! }],
        })),
      ),
      activations: tenants.flatMap(([tenantId, { activations }]) =>
        Object.entries(activations).map(([name, id]) => ({ tenant: tenantId, type: name as PromptType, bundleId: id })),
      ),
    };
  }

  #write(each: Write): void {
    const known = this.reference.tenants[each.tenant];
    if (each.kind === 'TENANT') return this.#putTenant(each, known);
    if (!known) return;
    switch (each.kind) {
      case 'TEMPLATE':
        return this.#log('CREATE', 'TEMPLATE', each.tenant, 'tone', {});
      case 'ACTIVATE':
      case 'DEACTIVATE': {
        const id = each.kind === 'ACTIVATE' ? each.bundleId : '';
        known.activations[each.type] = id;
        return this.#log(each.kind, 'ACTIVATION', each.tenant, each.type, { type: each.type, bundle_id: id });
      }
      case 'CREATE':
        if (known.bundles[each.bundleId]) return;
        known.bundles[each.bundleId] = { type: each.type, archived: false, versions: 0, channels: {} };
        return this.#log('CREATE', 'BUNDLE', each.tenant, each.bundleId, { type: each.type });
    }
    const bundle = known.bundles[each.bundleId];
    if (!bundle) return;
    switch (each.kind) {
      case 'PUBLISH':
        bundle.versions += 1;
        return this.#log('PUBLISH', 'BUNDLE', each.tenant, each.bundleId, { version: each.version });
      case 'ARCHIVE':
        bundle.archived = true;
        return this.#log('ARCHIVE', 'BUNDLE', each.tenant, each.bundleId, {});
      default:
        return this.#release(each, bundle);
    }
  }

  #putTenant(each: Write & { kind: 'TENANT' }, known: ReferenceTenant | undefined): void {
    const isRoot = each.tenant === 'default';
    const parent = isRoot ? '' : each.parent;
    const held = this.reference.tenants;
    if (!isRoot && (!held[parent] || this.reference.lineage(parent).includes(each.tenant))) return;
    const { variables: values, capturePolicy: policy } = each;
    const content = { parent, variables: values, capturePolicy: policy };
    held[each.tenant] = { ...(known ?? { bundles: {}, activations: {} }), ...content };
    this.#log(known ? 'UPDATE' : 'CREATE', 'TENANT', each.tenant, each.tenant, {}, documentOf(content));
  }

  #release(each: Write & { kind: 'RELEASE' | 'ROLLBACK' | 'WITHDRAW' }, bundle: ReferenceBundle): void {
    const revision = (bundle.channels[each.channel]?.revision ?? 0) + 1;
    const target =
      each.kind === 'WITHDRAW'
        ? undefined
        : { version: each.version, bundleHash: hashOf(each.tenant, each.bundleId, each.version, revision) };
    bundle.channels[each.channel] = { revision, ...target };
    const targets = target ? [{ version: target.version, bundle_hash: target.bundleHash, weight: 100 }] : [];
    this.#log(each.kind, 'BUNDLE', each.tenant, each.bundleId, { channel: each.channel, revision, targets });
  }

  #log(
    action: string,
    entityKind: string,
    tenantId: string,
    entityId: string,
    detail: JsonObject,
    document = '',
  ): void {
    const seq = this.head.seq + 1;
    const place = { action, entityKind, tenant: tenantId, entityId };
    this.changes.push({ seq, chainHash: `c${seq}`, ...place, detail, tenantDocument: document });
  }
}

function paged<T>(rows: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, page) => rows.slice(page * size, (page + 1) * size));
}

/** Asks the map and the reference everything that can be asked of so few names, and of one that nobody has. */
function assertSame(map: RouteMap, reference: ReferenceRoutes): void {
  assert.deepEqual([...map.tenants()].toSorted(), Object.keys(reference.tenants).toSorted());
  for (const asked of [...TENANTS, 'nobody']) {
    assert.deepEqual(map.lineage(asked), reference.lineage(asked));
    assert.deepEqual(map.scope(asked), reference.scope(asked));
    for (const id of [...BUNDLES, 'nothing']) {
      assert.deepEqual(map.pinCandidates(asked, id), reference.pinCandidates(asked, id));
    }
    for (const on of [...CHANNELS, 'never-used']) {
      for (const id of [...BUNDLES, 'nothing']) {
        assert.deepEqual(map.resolveBundle(asked, id, on), reference.resolveBundle(asked, id, on));
      }
      for (const of of TYPES) assert.deepEqual(map.resolveType(asked, of, on), reference.resolveType(asked, of, on));
    }
  }
}

/** Checks what both ways of asking explain. */
function assertExplained(map: RouteMap, reference: ReferenceRoutes, asked: string, on: string): void {
  for (const id of BUNDLES) {
    const steps: RouteStep[] = [];
    const answer = map.resolveBundle(asked, id, on, (step) => steps.push(step));
    assertLeadsTo(steps, answer);
    assert.deepEqual(answer, map.resolveBundle(asked, id, on));
    assert.deepEqual(steps, reference.explainBundle(asked, id, on));
  }
  for (const of of TYPES) {
    const steps: RouteStep[] = [];
    const answer = map.resolveType(asked, of, on, (step) => steps.push(step));
    assertLeadsTo(steps, answer);
    assert.deepEqual(answer, map.resolveType(asked, of, on));
    assert.deepEqual(steps, reference.explainType(asked, of, on));
  }
}

/** The last step answers if there is an answer, and no other does. */
function assertLeadsTo(steps: readonly RouteStep[], answer: ReturnType<RouteMap['resolveBundle']>): void {
  const answering = steps.filter(({ finding }) => finding === 'ANSWERS');
  if (answer === undefined) return assert.deepEqual(answering, []);
  const { tenant: from, bundleId: id, revision } = answer;
  assert.deepEqual(answering, [{ tenant: from, finding: 'ANSWERS', bundleId: id, revision }]);
  assert.equal(steps.at(-1), answering[0]);
}

describe('The map is compact', () => {
  it('and answers as plain objects would, whatever was written', () => {
    fc.assert(
      fc.property(history, (writes) => {
        const world = new World(writes);
        const map = world.followed();
        assert.deepEqual({ seq: map.seq, chainHash: map.chainHash }, world.head);
        assertSame(map, world.reference);
      }),
    );
  });
});

describe('The map loads in one snapshot', () => {
  it('and is what the log would have made of it, whatever the size of the pages', () => {
    fc.assert(
      fc.property(history, history, fc.integer({ min: 1, max: 20 }), (writes, more, pageRows) => {
        const world = new World(writes);
        const map = world.loaded(pageRows);
        assertSame(map, world.reference);
        const later = new World([...writes, ...more]);
        for (const change of later.changes.slice(world.changes.length)) map.apply(change);
        assert.deepEqual({ seq: map.seq, chainHash: map.chainHash }, later.head);
        assertSame(map, later.reference);
      }),
      { numRuns: 50 },
    );
  });
});

describe('A route can be explained', () => {
  it('by every place that is looked at, and asking why changes no answer', () => {
    const anyTenant = fc.constantFrom(...TENANTS, 'nobody');
    const anyChannel = fc.oneof(channel, fc.constant('never-used'));
    fc.assert(
      fc.property(history, anyTenant, anyChannel, (writes, asked, on) => {
        const world = new World(writes);
        assertExplained(world.followed(), world.reference, asked, on);
      }),
      { numRuns: 300 },
    );
  });
});
