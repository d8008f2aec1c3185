import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { RouteMap, type RouteChange, type RouteSnapshot, type RouteStep } from '../../../src/domain/route-map.ts';
import type { PromptType } from '../../../src/domain/prompt-type.ts';
import { tenantDocument, type TenantContent } from '../../../src/domain/tenant.ts';

const EMPTY: RouteSnapshot = {
  seq: 1,
  chainHash: 'c1',
  tenants: [{ tenant: 'default', document: document({}) }],
  bundles: [],
  channels: [],
  activations: [],
};

function document(content: Partial<TenantContent>): string {
  return tenantDocument({ parent: '', displayName: '', variables: {}, capturePolicy: 'VARIABLES', ...content }).text;
}

/** The bundle_hash of a version, in these tests. */
function hashOf(tenant: string, bundleId: string, version: string): string {
  return createHash('sha256').update(`${tenant} ${bundleId} ${version}`).digest('hex');
}

/** A route map that is written to as the change log would. */
class Log {
  readonly map = new RouteMap(EMPTY);

  append(change: Partial<RouteChange>): void {
    const seq = this.map.seq + 1;
    this.map.apply({
      seq,
      chainHash: `c${seq}`,
      action: 'UPDATE',
      entityKind: 'BUNDLE',
      tenant: 'default',
      entityId: '',
      detail: {},
      tenantDocument: '',
      ...change,
    });
  }

  tenant(tenant: string, content: Partial<TenantContent>): void {
    const tenantText = document(content);
    this.append({ action: 'CREATE', entityKind: 'TENANT', tenant, entityId: tenant, tenantDocument: tenantText });
  }

  bundle(tenant: string, entityId: string, type: PromptType): void {
    this.append({ action: 'CREATE', tenant, entityId, detail: { type, edit_version: 1 } });
  }

  publish(tenant: string, entityId: string, version: string): void {
    this.append({ action: 'PUBLISH', tenant, entityId, detail: { version } });
  }

  release(tenant: string, entityId: string, channel: string, revision: number, version: string): void {
    const targets = version ? [{ version, bundle_hash: hashOf(tenant, entityId, version), weight: 100 }] : [];
    const action = version ? 'RELEASE' : 'WITHDRAW';
    this.append({ action, tenant, entityId, detail: { channel, revision, targets } });
  }

  activate(tenant: string, type: PromptType, bundleId: string): void {
    const detail = { bundle_id: bundleId, revision: 1 };
    this.append({ action: 'ACTIVATE', entityKind: 'ACTIVATION', tenant, entityId: type, detail });
  }

  archive(tenant: string, entityId: string): void {
    this.append({ action: 'ARCHIVE', tenant, entityId });
  }
}

/** default ← acme ← acme-kids; default holds `hello` 1.0.0 on production. */
function family(): Log {
  const log = new Log();
  log.tenant('acme', { parent: 'default', variables: { brand: 'Acme', tone: 'dry' } });
  log.tenant('acme-kids', { parent: 'acme', variables: { tone: 'playful' }, capturePolicy: 'HASH_ONLY' });
  log.bundle('default', 'hello', 'GREETING');
  log.publish('default', 'hello', '1.0.0');
  log.release('default', 'hello', 'production', 1, '1.0.0');
  return log;
}

describe('The nearest tenant that answers serves the bundle', () => {
  it('is the tenant itself where it has a release', () => {
    const log = family();
    log.bundle('acme-kids', 'hello', 'GREETING');
    log.release('acme-kids', 'hello', 'production', 1, '2.0.0');
    assert.deepEqual(log.map.resolveBundle('acme-kids', 'hello', 'production'), {
      tenant: 'acme-kids',
      bundleId: 'hello',
      version: '2.0.0',
      bundleHash: hashOf('acme-kids', 'hello', '2.0.0'),
      channel: 'production',
      revision: 1,
    });
  });

  it('is the nearest ancestor where the tenant has none', () => {
    const log = family();
    assert.equal(log.map.resolveBundle('acme-kids', 'hello', 'production')?.tenant, 'default');
    log.bundle('acme', 'hello', 'GREETING');
    log.release('acme', 'hello', 'production', 1, '1.1.0');
    assert.equal(log.map.resolveBundle('acme-kids', 'hello', 'production')?.tenant, 'acme');
    assert.equal(log.map.resolveBundle('default', 'hello', 'production')?.tenant, 'default');
  });

  it('follows a tenant to its new parent', () => {
    const log = family();
    log.bundle('acme', 'hello', 'GREETING');
    log.release('acme', 'hello', 'production', 1, '1.1.0');
    log.tenant('acme-kids', { parent: 'default' });
    assert.equal(log.map.resolveBundle('acme-kids', 'hello', 'production')?.tenant, 'default');
  });

  it('is nobody for an unknown tenant or bundle', () => {
    const { map } = family();
    assert.equal(map.resolveBundle('nobody', 'hello', 'production'), undefined);
    assert.equal(map.resolveBundle('acme', 'bye', 'production'), undefined);
  });
});

describe('Drafts and archived bundles never shadow', () => {
  it('passes over a bundle without a release, a withdrawn one and an archived one', () => {
    const log = family();
    log.bundle('acme', 'hello', 'GREETING');
    assert.equal(log.map.resolveBundle('acme', 'hello', 'production')?.tenant, 'default');
    log.release('acme', 'hello', 'production', 1, '1.1.0');
    log.release('acme', 'hello', 'production', 2, '');
    assert.equal(log.map.resolveBundle('acme', 'hello', 'production')?.tenant, 'default');
    log.release('acme', 'hello', 'production', 3, '1.1.0');
    assert.equal(log.map.resolveBundle('acme', 'hello', 'production')?.revision, 3);
    log.archive('acme', 'hello');
    assert.equal(log.map.resolveBundle('acme', 'hello', 'production')?.tenant, 'default');
  });
});

describe('A missing channel never becomes production', () => {
  it('answers nothing for a channel without a release', () => {
    assert.equal(family().map.resolveBundle('acme', 'hello', 'beta'), undefined);
  });
});

describe('The nearest activation names the bundle', () => {
  it('which is resolved from the requesting tenant', () => {
    const log = family();
    log.activate('default', 'GREETING', 'hello');
    assert.equal(log.map.resolveType('acme-kids', 'GREETING', 'production')?.tenant, 'default');
    log.bundle('acme-kids', 'hello', 'GREETING');
    log.release('acme-kids', 'hello', 'production', 1, '2.0.0');
    assert.equal(log.map.resolveType('acme-kids', 'GREETING', 'production')?.tenant, 'acme-kids');
  });

  it('answers only with a bundle of that type', () => {
    const log = family();
    log.activate('default', 'GREETING', 'hello');
    log.bundle('acme', 'hello', 'FAREWELL');
    log.release('acme', 'hello', 'production', 1, '1.0.0');
    assert.equal(log.map.resolveType('acme', 'GREETING', 'production')?.tenant, 'default');
  });

  it('treats an unknown tenant as the root', () => {
    const log = family();
    log.activate('default', 'GREETING', 'hello');
    assert.equal(log.map.resolveType('nobody', 'GREETING', 'production')?.tenant, 'default');
  });
});

describe("A silent activation gives way to the ancestor's", () => {
  it('tries the next ancestor where the named bundle does not answer or the activation is gone', () => {
    const log = family();
    log.activate('default', 'GREETING', 'hello');
    log.bundle('acme', 'welcome', 'GREETING');
    log.activate('acme', 'GREETING', 'welcome');
    assert.equal(log.map.resolveType('acme', 'GREETING', 'production')?.bundleId, 'hello');
    log.release('acme', 'welcome', 'production', 1, '1.0.0');
    assert.equal(log.map.resolveType('acme', 'GREETING', 'production')?.bundleId, 'welcome');
    log.activate('acme', 'GREETING', '');
    assert.equal(log.map.resolveType('acme', 'GREETING', 'production')?.bundleId, 'hello');
    assert.equal(log.map.resolveType('acme', 'FAREWELL', 'production'), undefined);
  });
});

describe('An exact version is pinned', () => {
  it('may be held by the unarchived bundles with versions, the nearest first', () => {
    const log = family();
    assert.deepEqual(log.map.pinCandidates('acme-kids', 'hello'), [{ tenant: 'default', versions: 1 }]);
    log.bundle('acme', 'hello', 'GREETING');
    assert.deepEqual(log.map.pinCandidates('acme-kids', 'hello'), [{ tenant: 'default', versions: 1 }]);
    log.publish('acme', 'hello', '1.0.0');
    log.publish('acme', 'hello', '1.1.0');
    assert.deepEqual(log.map.pinCandidates('acme-kids', 'hello'), [
      { tenant: 'acme', versions: 2 },
      { tenant: 'default', versions: 1 },
    ]);
    log.archive('acme', 'hello');
    assert.deepEqual(log.map.pinCandidates('acme-kids', 'hello'), [{ tenant: 'default', versions: 1 }]);
    assert.deepEqual(log.map.pinCandidates('nobody', 'hello'), []);
  });
});

describe('Tenant variables are inherited', () => {
  it('lets the nearest tenant win, and null fall through to the ancestor', () => {
    const log = family();
    assert.deepEqual(log.map.scope('acme-kids').variables, { tone: 'playful', brand: 'Acme' });
    log.tenant('acme-kids', { parent: 'acme', variables: { tone: null } });
    assert.deepEqual(log.map.scope('acme-kids').variables, { tone: 'dry', brand: 'Acme' });
  });

  it('gives the scope of the root to an unknown tenant', () => {
    const { map } = family();
    assert.deepEqual(map.scope('nobody'), { known: false, variables: {}, capturePolicy: 'VARIABLES' });
    assert.deepEqual(map.scope('acme-kids').capturePolicy, 'HASH_ONLY');
    assert.equal(map.scope('acme').known, true);
  });
});

describe('Changes apply in order', () => {
  it('refuses a change that does not follow the last one, and stays as it was', () => {
    const { map } = family();
    const { seq, chainHash } = map;
    const change = { chainHash: 'x', action: 'ARCHIVE', entityKind: 'BUNDLE', tenant: 'default', entityId: 'hello' };
    for (const wrong of [seq, seq + 2]) {
      assert.throws(
        () => map.apply({ ...change, seq: wrong, detail: {}, tenantDocument: '' }),
        new Error(`change ${wrong} cannot follow change ${seq}`),
      );
    }
    assert.deepEqual([map.seq, map.chainHash], [seq, chainHash]);
    assert.equal(map.resolveBundle('default', 'hello', 'production')?.version, '1.0.0');
  });

  it('passes over changes that move no pointer', () => {
    const log = family();
    const { seq } = log.map;
    log.append({ action: 'CREATE', entityKind: 'TEMPLATE', entityId: 'tone' });
    log.append({ action: 'UPDATE', entityKind: 'BUNDLE', entityId: 'hello' });
    assert.equal(log.map.seq, seq + 2);
    assert.equal(log.map.chainHash, `c${seq + 2}`);
  });
});

describe('The map loads in one snapshot', () => {
  it('holds what the log would have made of it', () => {
    const log = family();
    log.activate('acme', 'GREETING', 'hello');
    const loaded = new RouteMap({
      seq: log.map.seq,
      chainHash: log.map.chainHash,
      tenants: [
        { tenant: 'default', document: document({}) },
        { tenant: 'acme', document: document({ parent: 'default', variables: { brand: 'Acme', tone: 'dry' } }) },
        { tenant: 'acme-kids', document: document({ parent: 'acme', variables: { tone: 'playful' } }) },
      ],
      bundles: [{ tenant: 'default', bundleId: 'hello', type: 'GREETING', archived: false, versions: 1 }],
      channels: [
        {
          tenant: 'default',
          bundleId: 'hello',
          channel: 'production',
          revision: 1,
          targets: [{ version: '1.0.0', bundleHash: hashOf('default', 'hello', '1.0.0') }],
        },
      ],
      activations: [{ tenant: 'acme', type: 'GREETING', bundleId: 'hello' }],
    });
    for (const tenant of ['default', 'acme', 'acme-kids']) {
      assert.deepEqual(
        loaded.resolveBundle(tenant, 'hello', 'production'),
        log.map.resolveBundle(tenant, 'hello', 'production'),
      );
      assert.deepEqual(
        loaded.resolveType(tenant, 'GREETING', 'production'),
        log.map.resolveType(tenant, 'GREETING', 'production'),
      );
      assert.deepEqual(loaded.pinCandidates(tenant, 'hello'), log.map.pinCandidates(tenant, 'hello'));
      assert.deepEqual(loaded.scope(tenant).variables, log.map.scope(tenant).variables);
    }
    assert.equal(loaded.seq, log.map.seq);
  });
});

describe('A route can be explained', () => {
  let lines: string[];
  const trace = ({ tenant, finding, bundleId, revision }: RouteStep): void => {
    lines.push([tenant, finding, bundleId, revision].filter(Boolean).join(' '));
  };

  beforeEach(() => {
    lines = [];
  });

  it('by the activations and, for each, the bundles that are looked at', () => {
    const log = family();
    log.activate('default', 'GREETING', 'hello');
    log.bundle('acme', 'welcome', 'GREETING');
    log.bundle('acme-kids', 'welcome', 'FAREWELL');
    log.activate('acme', 'GREETING', 'welcome');
    log.bundle('acme', 'hello', 'GREETING');
    log.release('acme', 'hello', 'production', 1, '1.0.0');
    log.release('acme', 'hello', 'production', 2, '');
    const answer = log.map.resolveType('acme-kids', 'GREETING', 'production', trace);
    assert.deepEqual(lines, [
      'acme-kids NOT_ACTIVATED',
      'acme ACTIVATED welcome',
      'acme-kids OTHER_TYPE welcome',
      'acme NOT_RELEASED welcome',
      'default NO_BUNDLE welcome',
      'default ACTIVATED hello',
      'acme-kids NO_BUNDLE hello',
      'acme WITHDRAWN hello 2',
      'default ANSWERS hello 1',
    ]);
    assert.deepEqual(answer, log.map.resolveType('acme-kids', 'GREETING', 'production'));
  });

  it('by the bundles alone where one is asked for', () => {
    const log = family();
    log.bundle('acme', 'hello', 'GREETING');
    log.archive('acme', 'hello');
    log.map.resolveBundle('acme', 'hello', 'production', trace);
    assert.deepEqual(lines, ['acme ARCHIVED hello', 'default ANSWERS hello 1']);
  });

  it('where nothing answers, by everything that does not', () => {
    const log = family();
    log.activate('default', 'GREETING', 'hello');
    log.activate('default', 'GREETING', '');
    assert.equal(log.map.resolveType('default', 'GREETING', 'production', trace), undefined);
    assert.equal(log.map.resolveBundle('default', 'hello', 'beta', trace), undefined);
    assert.deepEqual(lines, ['default NOT_ACTIVATED', 'default NOT_RELEASED hello']);
  });

  it('for an unknown tenant: by type it goes on at the root, by bundle it ends', () => {
    const log = family();
    log.activate('default', 'GREETING', 'hello');
    log.map.resolveType('nobody', 'GREETING', 'production', trace);
    log.map.resolveBundle('nobody', 'hello', 'production', trace);
    assert.deepEqual(lines, [
      'nobody TENANT_UNKNOWN',
      'default ACTIVATED hello',
      'default ANSWERS hello 1',
      'nobody TENANT_UNKNOWN',
    ]);
  });
});

describe('Changes apply in order', () => {
  for (const action of ['ERASE', 'PRUNE', 'SOMETHING_OF_A_LATER_RELEASE']) {
    it(`${action} of receipts moves no pointer`, () => {
      const log = family();
      const pointers = () => [log.map.resolveBundle('acme', 'hello', 'production'), log.map.scope('acme')];
      const before = pointers();
      log.append({ action, entityKind: 'RECEIPT', tenant: 'default', entityId: '', detail: { bundle_id: 'hello' } });
      assert.deepEqual(pointers(), before);
      assert.equal(log.map.chainHash, `c${log.map.seq}`);
    });
  }
});

describe('The tree of tenants is in the map', () => {
  it('as every tenant, and the way from each to the root', () => {
    const { map } = family();
    assert.deepEqual([...map.tenants()].toSorted(), ['acme', 'acme-kids', 'default']);
    assert.deepEqual(map.lineage('acme-kids'), ['acme-kids', 'acme', 'default']);
    assert.deepEqual(map.lineage('nobody'), ['default']);
  });
});
