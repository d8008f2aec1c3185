import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { PROMPT_TYPES, type PromptType } from '../../../src/domain/prompt-type.ts';
import { RouteMap, type RouteChange } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import { PointerKeeper, type PointerSink } from '../../../src/routing/pointer-keeper.ts';
import type { LastPointer } from '../../../src/services/render-ports.ts';

/** A sink whose answers the test gives, or which takes everything at once. */
class FakeSink implements PointerSink {
  /** Every pointer as it was put, with the tenant and type before it. */
  readonly puts: [tenant: string, type: PromptType, pointer: LastPointer][] = [];
  readonly completed: number[] = [];
  /** What writing for a tenant waits for; an empty name is the mark that all are written. */
  answer: (tenant: string) => Promise<void> = () => Promise.resolve();

  async put(tenant: string, type: PromptType, pointer: LastPointer): Promise<void> {
    this.puts.push([tenant, type, pointer]);
    await this.answer(tenant);
  }

  async complete(seq: number): Promise<void> {
    await this.answer('');
    this.completed.push(seq);
  }

  /** The tenants whose pointers were put since this was asked last, in order. */
  tenants(): string[] {
    return [...new Set(this.puts.splice(0).map(([tenant]) => tenant))];
  }
}

const HASH = 'a'.repeat(64);

function documentUnder(parent: string, name = ''): string {
  return tenantDocument({ parent, displayName: name, variables: { name }, capturePolicy: 'FULL' }).text;
}

/** The root with two brands, one of which has a child; the root answers greetings. */
function routeMap(brands = 0): RouteMap {
  return new RouteMap({
    seq: 7,
    chainHash: 'c7',
    tenants: [
      { tenant: 'default', document: documentUnder('') },
      { tenant: 'acme', document: documentUnder('default', 'Acme') },
      { tenant: 'acme-shoes', document: documentUnder('acme', 'Acme Shoes') },
      { tenant: 'bonny', document: documentUnder('default', 'Bonny') },
      ...Array.from({ length: brands }, (_, n) => ({ tenant: `brand-${n}`, document: documentUnder('default') })),
    ],
    bundles: [{ tenant: 'default', bundleId: 'hello', type: 'GREETING', archived: false, versions: 1 }],
    channels: [
      {
        tenant: 'default',
        bundleId: 'hello',
        channel: 'production',
        revision: 1,
        targets: [{ version: '1.0.0', bundleHash: HASH }],
      },
    ],
    activations: [{ tenant: 'default', type: 'GREETING', bundleId: 'hello' }],
  });
}

/** Lets everything go on that waits for no timer: each pointer takes a turn. */
async function turns(): Promise<void> {
  for (let count = 0; count < 500; count += 1) await new Promise(setImmediate);
}

async function later(ms: number): Promise<void> {
  mock.timers.tick(ms);
  await turns();
}

describe('Redis pointers are a last resort', () => {
  let sink: FakeSink;
  let keeper: PointerKeeper;
  let map: RouteMap;
  let verified: boolean;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    sink = new FakeSink();
    verified = true;
    keeper = new PointerKeeper(sink, () => verified);
    map = routeMap();
  });

  afterEach(async () => {
    await keeper.stop();
    mock.timers.reset();
  });

  /** Applies a change of a tenant to the map, and tells the keeper. */
  function change(tenant: string, overrides: Partial<RouteChange> = {}): void {
    const each: RouteChange = {
      seq: map.seq + 1,
      chainHash: `c${map.seq + 1}`,
      action: 'UPDATE',
      entityKind: 'TENANT',
      tenant,
      entityId: tenant,
      detail: {},
      tenantDocument: documentUnder(tenant === 'default' ? '' : 'default', 'changed'),
      ...overrides,
    };
    map.apply(each);
    keeper.applied(each);
  }

  async function loaded(): Promise<void> {
    keeper.loaded(map);
    await later(0);
    sink.tenants();
    await later(250);
  }

  it('all are left once the pointers are loaded, then the mark that they are', async () => {
    keeper.loaded(map);
    assert.equal(sink.puts.length, 0);
    await later(0);
    assert.equal(sink.puts.length, 4 * PROMPT_TYPES.length);
    const [, , pointer] = sink.puts.find(([tenant, type]) => tenant === 'acme-shoes' && type === 'GREETING')!;
    const answer = { tenant: 'default', bundleId: 'hello', version: '1.0.0', bundleHash: HASH };
    assert.deepEqual(pointer, {
      seq: 7,
      answer: { ...answer, channel: 'production', revision: 1 },
      scope: map.scope('acme-shoes'),
    });
    assert.deepEqual(sink.completed, [7]);
  });

  it('and what nothing answers is left as such, over a pointer that may be there', async () => {
    keeper.loaded(map);
    await later(0);
    const [, , pointer] = sink.puts.find(([tenant, type]) => tenant === 'acme' && type === 'FAREWELL')!;
    assert.deepEqual(pointer, { seq: 7, answer: undefined, scope: map.scope('acme') });
  });

  it('a change leaves those of its tenant and of all descendants anew, and no others', async () => {
    await loaded();
    change('acme');
    await later(0);
    const [, , pointer] = sink.puts[0]!;
    assert.deepEqual([pointer.seq, pointer.scope.variables], [8, { name: 'changed' }]);
    assert.deepEqual(sink.tenants(), ['acme', 'acme-shoes']);
    await later(250);
    change('default');
    await later(0);
    assert.deepEqual(sink.tenants(), ['default', 'acme', 'acme-shoes', 'bonny']);
    assert.deepEqual(sink.completed, [7]);
  });

  it('a template, a draft or a version moves no pointer', async () => {
    await loaded();
    change('acme', { entityKind: 'TEMPLATE', action: 'ARCHIVE' });
    const bundle = { entityKind: 'BUNDLE', entityId: 'bye' };
    change('acme', { ...bundle, action: 'CREATE', detail: { type: 'FAREWELL', edit_version: 1 } });
    change('acme', { ...bundle, action: 'UPDATE', detail: { edit_version: 2 } });
    change('acme', { ...bundle, action: 'PUBLISH', detail: { version: '1.0.0' } });
    await later(60_000);
    assert.deepEqual(sink.tenants(), []);
  });

  for (const action of ['RELEASE', 'ROLLBACK', 'WITHDRAW', 'ARCHIVE']) {
    it(`but ${action} of a bundle does, for its tenant and all descendants`, async () => {
      await loaded();
      const detail = { channel: 'production', revision: 2, targets: [] };
      change('default', { entityKind: 'BUNDLE', entityId: 'hello', action, detail });
      await later(0);
      assert.deepEqual(sink.puts.map(([, , { seq, answer }]) => [seq, answer]), sink.puts.map(() => [8, undefined]));
      assert.deepEqual(sink.tenants(), ['default', 'acme', 'acme-shoes', 'bonny']);
    });
  }

  it('and so does an activation', async () => {
    await loaded();
    const detail = { bundle_id: 'hello' };
    change('acme', { entityKind: 'ACTIVATION', entityId: 'FAREWELL', action: 'ACTIVATE', detail });
    await later(0);
    assert.deepEqual(sink.tenants(), ['acme', 'acme-shoes']);
  });

  it('a burst of changes is written once, at its end', async () => {
    await loaded();
    change('bonny');
    await later(0);
    assert.deepEqual(sink.tenants(), ['bonny']);
    for (let count = 0; count < 100; count += 1) change(count % 2 === 0 ? 'bonny' : 'acme-shoes');
    await later(249);
    assert.deepEqual(sink.tenants(), []);
    await later(1);
    assert.deepEqual(sink.puts.map(([, , { seq }]) => seq), Array.from({ length: 2 * PROMPT_TYPES.length }, () => 108));
    assert.deepEqual(sink.tenants(), ['acme-shoes', 'bonny']);
    await later(60_000);
    assert.deepEqual(sink.tenants(), []);
  });

  it('what changes during a round is written by the next one; rounds do not overlap', async () => {
    await loaded();
    const gate = Promise.withResolvers<void>();
    sink.answer = () => gate.promise;
    change('bonny');
    await later(0);
    change('bonny');
    await later(60_000);
    assert.deepEqual(sink.puts.map(([, , { seq }]) => seq), PROMPT_TYPES.map(() => 8));
    gate.resolve();
    await turns();
    await later(250);
    const written = [...PROMPT_TYPES.map(() => 8), ...PROMPT_TYPES.map(() => 9)];
    assert.deepEqual(sink.puts.map(([, , { seq }]) => seq), written);
  });

  it('every tenant is of one version of the map, the newest there is', async () => {
    map = routeMap(40);
    const gate = Promise.withResolvers<void>();
    sink.answer = () => gate.promise;
    keeper.loaded(map);
    await later(0);
    const first = sink.puts.length;
    change('bonny');
    gate.resolve();
    await turns();
    const seqs = sink.puts.map(([, , { seq }]) => seq);
    assert.deepEqual([new Set(seqs.slice(0, first)), new Set(seqs.slice(first))], [new Set([7]), new Set([8])]);
    assert.equal(seqs.length, 44 * PROMPT_TYPES.length);
    assert.deepEqual(sink.completed, [7]);
  });

  it('few are on their way at a time', async () => {
    map = routeMap(40);
    const gate = Promise.withResolvers<void>();
    sink.answer = () => gate.promise;
    keeper.loaded(map);
    await later(0);
    assert.deepEqual(sink.tenants(), ['default', 'acme', 'acme-shoes', 'bonny']);
    gate.resolve();
    await turns();
    assert.equal(sink.tenants().length, 40);
  });

  it('and everybody else has a turn after each of them', async () => {
    let hadTurn = true;
    const crowded: string[] = [];
    sink.answer = async (tenant) => {
      if (!hadTurn) crowded.push(tenant);
      hadTurn = false;
      setImmediate(() => (hadTurn = true));
    };
    keeper.loaded(map);
    await later(0);
    assert.deepEqual([sink.puts.length, crowded], [4 * PROMPT_TYPES.length, []]);
  });

  it('and while it is looked up who is below a tenant that changed', async () => {
    map = routeMap(4_500);
    let lookedAt = 0;
    const perTurn: number[] = [];
    mock.method(map, 'lineage', () => {
      if (lookedAt === 0) {
        setImmediate(() => {
          perTurn.push(lookedAt);
          lookedAt = 0;
        });
      }
      lookedAt += 1;
      return [];
    });
    verified = false;
    keeper.loaded(map);
    await later(0);
    change('bonny');
    await later(1_000);
    assert.equal(perTurn.reduce((sum, each) => sum + each), 4_504);
    assert(Math.max(...perTurn) <= 1_000);
  });

  it('all are left anew every 20 minutes, since they expire', async () => {
    await loaded();
    await later(20 * 60_000 - 251);
    assert.deepEqual(sink.tenants(), []);
    await later(251);
    await later(0);
    assert.deepEqual(sink.tenants(), ['default', 'acme', 'acme-shoes', 'bonny']);
    assert.deepEqual(sink.completed, [7, 7]);
  });

  it('and when the map was loaded anew, from what it holds then', async () => {
    await loaded();
    map = routeMap(1);
    keeper.loaded(map);
    await later(0);
    assert.deepEqual(sink.tenants(), ['default', 'acme', 'acme-shoes', 'bonny', 'brand-0']);
  });

  it('but not while the map is not proved: it may hold a lost history, which is to expire', async () => {
    await loaded();
    verified = false;
    await later(60 * 60_000);
    assert.deepEqual([sink.tenants(), sink.completed], [[], [7]]);
    verified = true;
    await later(1_000);
    assert.deepEqual(sink.tenants(), ['default', 'acme', 'acme-shoes', 'bonny']);
    assert.deepEqual(sink.completed, [7, 7]);
  });

  for (const [where, brands] of [['halfway', 40], ['before the mark', 0]] as const) {
    it(`nor any more once its proof is old, ${where}`, async () => {
      map = routeMap(brands);
      const gate = Promise.withResolvers<void>();
      sink.answer = () => gate.promise;
      keeper.loaded(map);
      await later(0);
      assert.equal(sink.tenants().length, 4);
      verified = false;
      gate.resolve();
      await later(60_000);
      assert.deepEqual([sink.tenants(), sink.completed], [[], []]);
      verified = true;
      await later(1_000);
      assert.deepEqual([sink.tenants().length, sink.completed], [brands, [7]]);
    });
  }

  it('a tenant that cannot be written is tried ever less often, and holds up neither others nor the mark', async () => {
    map = routeMap(56);
    let refused = 'brand-0';
    sink.answer = (tenant) => (tenant === refused ? Promise.reject(new Error('too large')) : Promise.resolve());
    keeper.loaded(map);
    await later(0);
    assert.deepEqual([sink.tenants().length, sink.completed], [60, [7]]);
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      await later(seconds * 1_000 - 1);
      assert.deepEqual(sink.tenants(), []);
      await later(1);
      await later(0);
      assert.deepEqual(sink.tenants(), ['brand-0']);
    }
    change('brand-0');
    await later(30_000);
    assert.deepEqual(sink.tenants(), []);
    refused = 'nobody';
    await later(30_000);
    await later(0);
    assert.deepEqual(sink.tenants(), ['brand-0']);
    await later(250);
    change('brand-0');
    await later(0);
    assert.deepEqual(sink.tenants(), ['brand-0']);
    await later(10 * 60_000);
    assert.deepEqual([sink.tenants(), sink.completed], [[], [7]]);
  });

  it('but where many cannot be written, nobody is told that all are', async () => {
    map = routeMap(36);
    const refused = new Set([0, 5, 10, 15, 20].map((n) => `brand-${n}`));
    sink.answer = (tenant) => (refused.has(tenant) ? Promise.reject(new Error('too large')) : Promise.resolve());
    keeper.loaded(map);
    await later(0);
    assert.equal(sink.tenants().length, 40);
    for (const pause of [999, 1, 2_000, 4_000, 250]) await later(pause);
    assert.deepEqual([new Set(sink.tenants()), sink.completed], [refused, []]);
    refused.delete('brand-20');
    for (const pause of [8_000, 1_000, 250]) await later(pause);
    assert.deepEqual(sink.completed, [7]);
  });

  it('where nothing can be written, a few are tried every second, others each time', async () => {
    map = routeMap(36);
    let away = true;
    sink.answer = () => (away ? Promise.reject(new Error('away')) : Promise.resolve());
    keeper.loaded(map);
    await later(0);
    assert.deepEqual(sink.tenants(), ['default', 'acme', 'acme-shoes', 'bonny']);
    await later(999);
    assert.deepEqual(sink.tenants(), []);
    await later(1);
    assert.deepEqual(sink.tenants(), ['brand-0', 'brand-1', 'brand-2', 'brand-3']);
    away = false;
    await later(1_000);
    assert.deepEqual([sink.tenants().length, sink.completed], [40, [7]]);
  });

  it('where only the mark cannot be written, it is tried again after a second', async () => {
    let refused = true;
    sink.answer = (tenant) => (tenant === '' && refused ? Promise.reject(new Error('away')) : Promise.resolve());
    keeper.loaded(map);
    await later(0);
    assert.equal(sink.tenants().length, 4);
    refused = false;
    await later(999);
    assert.deepEqual(sink.completed, []);
    await later(1);
    assert.deepEqual([sink.tenants(), sink.completed], [[], [7]]);
  });

  it('nothing is written any more once it is stopped', async () => {
    map = routeMap(40);
    const gate = Promise.withResolvers<void>();
    sink.answer = () => gate.promise;
    keeper.loaded(map);
    await later(0);
    const written = sink.puts.length;
    const stopped = keeper.stop();
    change('acme');
    gate.resolve();
    await stopped;
    await later(60 * 60_000);
    assert.deepEqual([sink.puts.length, sink.completed], [written, []]);
  });
});
