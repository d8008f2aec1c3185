import assert from 'node:assert/strict';
import { compileBundle, type CompiledBundle } from '../../../src/domain/assembly.ts';
import { defaultPrompt } from '../../../src/domain/default-prompts.ts';
import { type Document, documentOf } from '../../../src/domain/document.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { RouteMap } from '../../../src/domain/route-map.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import type { ReceiptPolicy } from '../../../src/services/receipt-policy.ts';
import type { RenderInput } from '../../../src/services/render-input.ts';
import type {
  CompiledBundles,
  LastPointer,
  LastPointers,
  PinnedVersions,
  RenderObserver,
  Routes,
} from '../../../src/services/render-ports.ts';
import { type RenderCall, RendererService } from '../../../src/services/renderer-service.ts';
import { STALE_AFTER_MS } from '../../../src/services/route-resolution.ts';
import {
  ReceiptNotKept,
  type CapturedInputs,
  type ReceiptRecord,
  type ReceiptSink,
} from '../../../src/services/trail.ts';

const GONE_NEVER = new AbortController().signal;
const NOW = Date.parse('2026-01-31T08:00:00Z');
/** Its first 48 bits are NOW. */
const RENDER_ID = '019c1310-e400-7000-8000-000000000001';
const HELLO = snapshot('Hello {name}');
const AWAY = new Unavailable('DATABASE_UNAVAILABLE', 'the database is away', 1_000);

function snapshot(content: string): Document {
  const variables = { name: { type: 'STRING', default: 'you' } };
  return documentOf({ sections: [{ role: 'SYSTEM', syntax: 'FORMAT', content }], variables });
}

function tenant(id: string, parent: string, name: string) {
  const draft = { parent, displayName: '', variables: { name }, capturePolicy: 'VARIABLES' as const };
  return { tenant: id, document: tenantDocument(draft).text };
}

/** `default` has a GREETING on production, which `acme` inherits. */
function routeMap(): RouteMap {
  const targets = [{ version: '1.0.0', bundleHash: HELLO.hash }];
  return new RouteMap({
    seq: 7,
    chainHash: '',
    tenants: [tenant('default', '', 'everybody'), tenant('acme', 'default', 'Acme')],
    bundles: [{ tenant: 'default', bundleId: 'hello', type: 'GREETING', archived: false, versions: 1 }],
    channels: [{ tenant: 'default', bundleId: 'hello', channel: 'production', revision: 1, targets }],
    activations: [{ tenant: 'default', type: 'GREETING', bundleId: 'hello' }],
  });
}

/** The replica's pointers, verified when the test says. */
class FakeRoutes implements Routes {
  loaded: RouteMap | undefined = routeMap();
  verifiedAt = NOW;
  readonly waits: { seq: number; until: number }[] = [];

  unverifiedMs(): number {
    return NOW - this.verifiedAt;
  }

  applied(seq: number, until: number): Promise<boolean> {
    this.waits.push({ seq, until });
    return Promise.resolve(seq <= (this.loaded?.seq ?? 0));
  }
}

/** What renders told. */
class Observed implements RenderObserver {
  readonly durations: number[] = [];
  readonly fallbacks: Parameters<RenderObserver['fellBack']>[0][] = [];
  readonly lost: { receipt: ReceiptRecord; error: unknown }[] = [];
  readonly late: { receipt: ReceiptRecord; error: unknown }[] = [];

  rendered(seconds: number): void {
    this.durations.push(seconds);
  }

  fellBack(event: Parameters<RenderObserver['fellBack']>[0]): void {
    this.fallbacks.push(event);
  }

  receiptLost(receipt: ReceiptRecord, error: unknown): void {
    this.lost.push({ receipt, error });
  }

  receiptLate(receipt: ReceiptRecord, error: unknown): void {
    this.late.push({ receipt, error });
  }
}

class FakeReceipts implements ReceiptSink {
  readonly written: { receipt: ReceiptRecord; inputs: CapturedInputs | undefined; until: number }[] = [];

  write(receipt: ReceiptRecord, inputs: string | undefined, until: number): Promise<void> {
    this.written.push({ receipt, inputs: inputs === undefined ? undefined : (JSON.parse(inputs) as CapturedInputs), until });
    return Promise.resolve();
  }
}

const HELD: CompiledBundles = { get: () => compileBundle(HELLO) };
const PINNED: PinnedVersions = {
  find: ([first]) => Promise.resolve(first && { tenant: first.tenant, bundleHash: HELLO.hash }),
};
/** Nobody left any. */
const NO_POINTERS: LastPointers = { find: () => Promise.resolve(undefined) };
const NOT_HELD = { get: () => Promise.reject(AWAY), find: () => Promise.reject(AWAY) };

/** A renderer among fakes, whose clock stands at NOW and gains 2 ms with each look at the monotonic one. */
function renderer(
  given: {
    bundles?: CompiledBundles;
    versions?: PinnedVersions;
    lastPointers?: LastPointers;
    receipts?: ReceiptSink;
    receiptPolicy?: ReceiptPolicy;
  } = {},
) {
  const routes = new FakeRoutes();
  const observed = new Observed();
  const receipts = new FakeReceipts();
  let ticks = 0;
  const clock = { now: () => NOW, monotonic: () => (ticks += 2), id: () => RENDER_ID };
  const held = { bundles: HELD, versions: PINNED, lastPointers: NO_POINTERS };
  const parts = { routes, ...held, receipts, receiptPolicy: 'serve' as const, observer: observed, clock, ...given };
  const service = new RendererService(parts);
  const render = (input: Partial<RenderInput>, deadline?: number, given: Partial<RenderCall> = {}) => {
    const call = { caller: 'key:1', traceId: 'trace', deadline, signal: GONE_NEVER, ...given };
    return service.render(call, { ...ASKED, ...input });
  };
  return { routes, observed, receipts, render };
}

const ASKED: RenderInput = {
  tenant: 'acme',
  target: { bundleId: 'hello', version: undefined, channel: undefined },
  channel: '',
  variables: {},
  placeholders: new Map(),
  minSeq: 0,
  requestId: '',
  labels: {},
  fallbackText: '',
};
const BY_TYPE = { target: { type: 'GREETING' as const } };
const EXACT = { target: { bundleId: 'hello', version: '1.0.0', channel: undefined } };
const NOWHERE = { target: { bundleId: 'nowhere', version: undefined, channel: undefined }, fallbackText: 'sorry' };

describe('A render by type never fails for want of a prompt', () => {
  const NEVER = new Promise<never>(() => {});
  const SOON = NOW + 120;

  it('before the pointers are loaded, when nothing is known of any tenant', async () => {
    const { routes, receipts, render } = renderer();
    routes.loaded = undefined;
    routes.verifiedAt = 0;
    const answer = await render({ ...BY_TYPE, variables: { secret: 'x' } });
    assert.deepEqual([answer.source, answer.seq], ['FALLBACK', 0]);
    assert.deepEqual(
      answer.warnings.map(({ code }) => code),
      ['POINTERS_UNVERIFIED', 'FALLBACK_USED', 'VARIABLE_UNDECLARED'],
    );
    assert.deepEqual([receipts.written[0]!.receipt.capturePolicy, receipts.written[0]!.inputs], ['HASH_ONLY', undefined]);
    assert.equal((await render(NOWHERE)).text, 'sorry');
    await assert.rejects(render({}), { reason: 'DATABASE_UNAVAILABLE', message: 'no pointers are loaded yet' });
    await assert.rejects(render({ ...BY_TYPE, minSeq: 1 }), { reason: 'SEQ_NOT_APPLIED' });
  });

  it('while the database hangs, in time for the deadline', async () => {
    for (const stuck of [{ bundles: { get: () => NEVER } }, { versions: { find: () => NEVER } }]) {
      const { observed, render } = renderer(stuck);
      const answer = await render({ ...('bundles' in stuck ? BY_TYPE : EXACT), fallbackText: 'sorry' }, SOON);
      assert.equal(answer.text, 'sorry');
      assert.equal(observed.fallbacks[0]!.reason, 'stores_unavailable');
    }
    const { render } = renderer({ bundles: { get: () => NEVER } });
    assert.equal((await render(BY_TYPE, SOON)).source, 'FALLBACK');
    await assert.rejects(render({}, SOON), { reason: 'DATABASE_UNAVAILABLE' });
  });

  it('and the receipt is waited for no longer than the deadline allows', async () => {
    const { receipts, render } = renderer();
    await render(BY_TYPE, NOW + 900);
    await render(BY_TYPE, NOW + 60_000);
    await render(BY_TYPE);
    assert.deepEqual(receipts.written.map(({ until }) => until - NOW), [800, 2_000, 2_000]);
  });
});

describe('Redis pointers are a last resort', () => {
  const answer = { tenant: 'default', bundleId: 'hello', version: '1.0.0', bundleHash: HELLO.hash } as const;
  const pointer: LastPointer = {
    seq: 5,
    answer: { ...answer, channel: 'production', revision: 3 },
    scope: { known: true, variables: { name: 'Acme of old' }, capturePolicy: 'VARIABLES' },
  };

  /** A replica that has loaded no pointers, where another one left some behind. */
  function starting(left: LastPointer | undefined) {
    const asked: string[] = [];
    const find: LastPointers['find'] = (tenant, type) => {
      asked.push(`${tenant} ${type}`);
      return Promise.resolve(left);
    };
    const parts = renderer({ lastPointers: { find } });
    parts.routes.loaded = undefined;
    parts.routes.verifiedAt = 0;
    return { ...parts, asked };
  }

  it('a replica that has none of its own answers by type from them, always STALE', async () => {
    const { receipts, render, asked } = starting(pointer);
    const { text, source, seq, revision, channel, warnings } = await render(BY_TYPE);
    assert.deepEqual([text, source, seq, revision, channel], ['Hello Acme of old', 'STALE', 5, 3, 'production']);
    assert.deepEqual(warnings.map(({ code, subject }) => `${code} ${subject}`), ['POINTERS_UNVERIFIED 5']);
    assert.deepEqual(receipts.written[0]!.inputs, { variables: { name: 'Acme of old' } });
    assert.deepEqual(asked, ['acme GREETING']);
  });

  it('there are none by bundle, by version, or on another channel', async () => {
    const { render, asked } = starting(pointer);
    for (const input of [{}, EXACT]) await assert.rejects(render(input), { reason: 'DATABASE_UNAVAILABLE' });
    assert.equal((await render({ ...BY_TYPE, channel: 'canary' })).source, 'FALLBACK');
    assert.deepEqual(asked, []);
  });

  it('one that says that nothing answers is believed', async () => {
    const { observed, render } = starting({ ...pointer, answer: undefined });
    assert.deepEqual([(await render(BY_TYPE)).source, (await render(BY_TYPE)).seq], ['FALLBACK', 5]);
    assert.equal(observed.fallbacks[0]!.reason, 'nothing_answers');
  });

  it('where none is held the stores are away', async () => {
    const { observed, render } = starting(undefined);
    assert.equal((await render(BY_TYPE)).source, 'FALLBACK');
    assert.equal(observed.fallbacks[0]!.reason, 'stores_unavailable');
  });

  it('they are not asked for once pointers are loaded, verified or not', async () => {
    const { routes, render, asked } = starting(pointer);
    routes.loaded = routeMap();
    assert.deepEqual([(await render(BY_TYPE)).text, (await render(BY_TYPE)).source], ['Hello Acme', 'STALE']);
    assert.deepEqual(asked, []);
  });

  it('and give way to pointers that are loaded meanwhile', async () => {
    const parts = renderer({
      lastPointers: {
        find: () => {
          parts.routes.loaded = routeMap();
          return Promise.resolve(pointer);
        },
      },
    });
    parts.routes.loaded = undefined;
    assert.equal((await parts.render(BY_TYPE)).text, 'Hello Acme');
  });
});

describe('The source follows one precedence', () => {
  const everySource = [
    [{}, 'INHERITED'],
    [{ tenant: 'default' }, 'ACTIVE'],
    [BY_TYPE, 'INHERITED'],
    [EXACT, 'PINNED'],
    [{ ...EXACT, tenant: 'default' }, 'PINNED'],
    [NOWHERE, 'FALLBACK'],
  ] as const;

  it('of verified pointers', async () => {
    const { render } = renderer();
    for (const [input, source] of everySource) assert.equal((await render(input)).source, source);
  });

  it('of pointers that were not verified lately: STALE comes before all but FALLBACK', async () => {
    const { routes, render } = renderer();
    routes.verifiedAt = NOW - STALE_AFTER_MS - 1;
    for (const [input, source] of everySource) {
      assert.equal((await render(input)).source, source === 'FALLBACK' ? 'FALLBACK' : 'STALE');
    }
  });
});

describe('An unverified head makes answers stale', () => {
  it('after 3 s, and not before', async () => {
    const { routes, render } = renderer();
    routes.verifiedAt = NOW - 3_000;
    assert.deepEqual((await render({})).warnings, []);
    routes.verifiedAt = NOW - 3_001;
    const { warnings, text } = await render({});
    assert.equal(text, 'Hello Acme');
    assert.deepEqual(warnings.map(({ code, subject }) => `${code} ${subject}`), ['POINTERS_UNVERIFIED 7']);
  });

  it('a fallback is told of as well', async () => {
    const { routes, render } = renderer();
    routes.verifiedAt = 0;
    const { warnings } = await render(NOWHERE);
    assert.deepEqual(warnings.map(({ code }) => code), ['POINTERS_UNVERIFIED', 'FALLBACK_USED']);
  });
});

describe('One render sees one version of the map', () => {
  it('though the map moves on while the bundle loads', async () => {
    const { promise, resolve } = Promise.withResolvers<CompiledBundle>();
    const { routes, render } = renderer({ bundles: { get: () => promise } });
    const answer = render({});
    const renamed = tenant('acme', 'default', 'Renamed').document;
    const change = { chainHash: '', action: 'UPDATE', entityKind: 'TENANT', tenant: 'acme', entityId: 'acme' };
    routes.loaded!.apply({ ...change, seq: 8, detail: {}, tenantDocument: renamed });
    const release = { channel: 'production', revision: 2, targets: [{ version: '2.0.0', bundle_hash: 'f'.repeat(64) }] };
    const moved = { ...change, action: 'RELEASE', entityKind: 'BUNDLE', tenant: 'default', entityId: 'hello' };
    routes.loaded!.apply({ ...moved, seq: 9, detail: release, tenantDocument: '' });
    resolve(compileBundle(HELLO));
    const { text, version, revision, seq } = await answer;
    assert.deepEqual({ text, version, revision, seq }, { text: 'Hello Acme', version: '1.0.0', revision: 1, seq: 7 });
  });
});

describe('A render waits for the change it must see', () => {
  it('until 100 ms before the deadline, so that the answer is in time', async () => {
    const { routes, render } = renderer();
    await render({ minSeq: 7 }, NOW + 1_000);
    assert.deepEqual(routes.waits, [{ seq: 7, until: NOW + 900 }]);
  });

  it('for 5 s without a deadline', async () => {
    const { routes, render } = renderer();
    const refused = { reason: 'SEQ_NOT_APPLIED', metadata: { min_seq: '8', applied_seq: '7' } };
    await assert.rejects(render({ minSeq: 8 }), refused);
    assert.deepEqual(routes.waits, [{ seq: 8, until: NOW + 5_000 }]);
  });

  it('and then for its turn, where it is one of many, which may have waited for the same', async () => {
    const waited: string[] = [];
    const shared = { turn: () => Promise.resolve(void waited.push('turn')), take: () => void waited.push('take') };
    const held = renderer();
    await held.render({}, undefined, { shared });
    assert.deepEqual(waited.splice(0), ['take']);
    await held.render({ minSeq: 7 }, undefined, { shared });
    await held.render(EXACT, undefined, { shared });
    await renderer({ bundles: { get: () => Promise.resolve(compileBundle(HELLO)) } }).render({}, undefined, { shared });
    assert.deepEqual(waited, ['turn', 'take', 'turn', 'take', 'turn', 'take']);
  });

  it('and not at all unless it is asked to', async () => {
    const { routes, render } = renderer();
    await render({});
    assert.deepEqual(routes.waits, []);
  });
});

describe('A render by type never fails for want of a prompt', () => {
  it('the built-in default answers if the stores are away and nothing is held', async () => {
    const { observed, render } = renderer({ bundles: NOT_HELD });
    const answer = await render(BY_TYPE);
    assert.equal(answer.bundleHash, defaultPrompt('GREETING').hash);
    assert.equal(answer.source, 'FALLBACK');
    assert.deepEqual([answer.tenant, answer.bundleId, answer.version, answer.revision], ['', '', '', 0]);
    assert.deepEqual(observed.fallbacks, [
      { tenant: 'acme', target: 'GREETING', reason: 'stores_unavailable', answeredWith: 'default' },
    ]);
  });

  it('but a defect is no reason for a fallback', async () => {
    const defect = new TypeError('a defect');
    const { observed, render } = renderer({ bundles: { get: () => Promise.reject(defect) } });
    await assert.rejects(render({ ...BY_TYPE, fallbackText: 'sorry' }), defect);
    assert.deepEqual(observed.fallbacks, []);
  });
});

describe('Fallback text is answered literally', () => {
  for (const [what, input] of Object.entries({ 'by bundle': {}, 'by exact version': EXACT, 'by type': BY_TYPE })) {
    it(`${what}, if the stores are away and nothing is held`, async () => {
      const { observed, render } = renderer({ bundles: NOT_HELD, versions: NOT_HELD });
      const answer = await render({ ...input, fallbackText: '{sorry}' });
      assert.equal(answer.text, '{sorry}');
      assert.deepEqual(observed.fallbacks.map(({ reason, answeredWith }) => `${reason} ${answeredWith}`), [
        'stores_unavailable text',
      ]);
    });
  }
});

describe('A render by bundle without fallback is not found', () => {
  it('but unavailable if the stores are away', async () => {
    const { observed, render } = renderer({ bundles: NOT_HELD, versions: NOT_HELD });
    await assert.rejects(render({}), AWAY);
    await assert.rejects(render(EXACT), AWAY);
    assert.deepEqual(observed.fallbacks, []);
  });
});

describe('A lost receipt is counted and told', () => {
  it('the render is answered all the same', async () => {
    const lost = new ReceiptNotKept('the disk is full', false);
    const { observed, render } = renderer({ receipts: { write: () => Promise.reject(lost) } });
    const { text, warnings } = await render({});
    assert.equal(text, 'Hello Acme');
    assert.deepEqual(warnings.map(({ code, subject }) => `${code} ${subject}`), [`RECEIPT_NOT_RECORDED ${RENDER_ID}`]);
    assert.deepEqual(observed.lost.map(({ receipt, error }) => [receipt.renderId, error]), [[RENDER_ID, lost]]);
    assert.deepEqual(observed.late, []);
    assert.equal(observed.durations.length, 1);
  });

  it('and is late, not lost, if it waits in the journal', async () => {
    const late = new ReceiptNotKept('the database is away', true);
    const { observed, render } = renderer({ receipts: { write: () => Promise.reject(late) } });
    const { warnings } = await render({});
    assert.deepEqual(warnings.map(({ code }) => code), ['RECEIPT_NOT_RECORDED']);
    assert.deepEqual(observed.late.map(({ receipt, error }) => [receipt.renderId, error]), [[RENDER_ID, late]]);
    assert.deepEqual(observed.lost, []);
  });

  it('unless operators want no render without one: then it is refused', async () => {
    for (const journaled of [false, true]) {
      const error = new ReceiptNotKept('not kept', journaled);
      const receipts = { write: () => Promise.reject(error) };
      const { observed, render } = renderer({ receipts, receiptPolicy: 'refuse' });
      await assert.rejects(render({}), {
        name: 'Unavailable',
        message: /could not be recorded.*try again$/,
        reason: 'RECEIPT_NOT_RECORDED',
        retryDelayMs: 1_000,
        metadata: { render_id: RENDER_ID },
        cause: error,
      });
      assert.deepEqual([observed.lost.length, observed.late.length], [0, journaled ? 1 : 0]);
    }
  });
});

describe('Every render leaves a receipt', () => {
  it('with the time it began and how long it took until then', async () => {
    const { receipts, observed, render } = renderer();
    await render({ labels: { turn: '1' }, requestId: 'r-1' });
    const [{ receipt, inputs } = assert.fail()] = receipts.written;
    assert.equal(receipt.renderId, RENDER_ID);
    assert.equal(receipt.time.getTime(), NOW);
    assert.equal(receipt.durationUs, 2_000);
    assert.deepEqual(observed.durations, [0.004]);
    assert.deepEqual([receipt.caller, receipt.traceId, receipt.requestId], ['key:1', 'trace', 'r-1']);
    assert.deepEqual(inputs, { variables: { name: 'Acme' } });
  });

  it('before it is answered', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { render } = renderer({ receipts: { write: () => promise } });
    let answered = false;
    const answer = render({}).then(() => (answered = true));
    await new Promise(setImmediate);
    assert.equal(answered, false);
    resolve();
    await answer;
  });
});
