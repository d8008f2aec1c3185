import assert from 'node:assert/strict';
import { documentOf } from '../../../src/domain/document.ts';
import type { ReleaseRecord, WriteTransaction } from '../../../src/services/stores.ts';
import {
  bundleVersion,
  changeEntry,
  draftRecord,
  templateVersion,
  TENANT_DOCUMENT,
  tenantRecord,
  TIME,
} from '../../support/storage/records.ts';
import { openRegistry, type Registry } from '../../support/storage/registry.ts';

describe('Stores read what a write transaction wrote', () => {
  let registry: Registry;

  beforeEach(async () => {
    registry = await openRegistry(() => TIME);
  });

  afterEach(() => registry.close());

  it('a fresh database holds the root tenant as change 1', async () => {
    const { stores } = registry;
    const root = await stores.tenants.find('default');
    assert.equal(root?.parent, '');
    assert.equal(root.capturePolicy, 'VARIABLES');
    assert.equal(await stores.documents.find(root.documentHash), '{"capture_policy":"VARIABLES"}');
    const first = await stores.changes.find(1);
    assert.equal(first?.action, 'CREATE');
    assert.equal(first.afterHash, root.documentHash);
  });

  it('tenants: found, listed by id, with their lineage and subtree', async () => {
    const { stores } = registry;
    const acme = tenantRecord('acme', { displayName: "Acme's \\ ?", variables: { b: [1, null], a: { x: '€' } } });
    const shop = tenantRecord('acme.shop', { parent: 'acme' });
    await registry.write(async (tx) => {
      await tx.putDocument(TENANT_DOCUMENT);
      assert.equal(await tx.insertTenant(acme), true);
      assert.equal(await tx.insertTenant(shop), true);
      assert.equal(await tx.insertTenant(shop), false);
    });
    assert.deepEqual(await stores.tenants.find('acme'), acme);
    assert.equal(await stores.tenants.find('nobody'), undefined);
    assert.deepEqual((await stores.tenants.list('', 2)).map((t) => t.tenant), ['acme', 'acme.shop']);
    assert.deepEqual((await stores.tenants.list('acme.shop', 2)).map((t) => t.tenant), ['default']);
    assert.deepEqual(await stores.tenants.lineage('acme.shop'), ['acme.shop', 'acme', 'default']);
    assert.deepEqual(await stores.tenants.lineage('nobody'), []);
    assert.deepEqual((await stores.tenants.subtree('acme')).toSorted(), ['acme', 'acme.shop']);
    const heights = ['default', 'acme', 'acme.shop', 'nobody'].map((tenant) => stores.tenants.height(tenant));
    assert.deepEqual(await Promise.all(heights), [3, 2, 1, 0]);
    const renamed = { ...acme, displayName: 'ACME', editVersion: 2 };
    await registry.write((tx) => tx.updateTenant(renamed));
    assert.deepEqual(await stores.tenants.find('acme'), renamed);
  });

  it('documents: the exact text, whatever is in it', async () => {
    const document = documentOf({ quote: `it's "q" \\ \\' ? ?? $1 :x`, emoji: '👩🏽‍🚀', escape: 'a\tb\u0001' });
    await registry.write(async (tx) => {
      await tx.putDocument(document);
      await tx.putDocument(document);
      assert.equal(await tx.documents.find(document.hash), document.text);
    });
    assert.equal(await registry.stores.documents.find(document.hash), document.text);
    assert.equal(await registry.stores.documents.find('0'.repeat(64)), undefined);
  });

  it('a document is refused under any hash but its own', async () => {
    const forged = { hash: documentOf('other').hash, text: '"text"' };
    await assert.rejects(registry.write((tx) => tx.putDocument(forged)), /document_check/);
  });

  it('templates: the draft, its versions in order of publication, and what is published', async () => {
    const { templates } = registry.stores;
    const hello = draftRecord('hello');
    const archived = draftRecord('old', { archiveTime: TIME, type: 'FAREWELL' });
    const versions = ['2.0.0', '1.0.0', '1.1.0-rc.1'].map((version) => templateVersion('hello', version));
    await registry.write(async (tx) => {
      for (const draft of [hello, archived, draftRecord('bare')]) {
        await tx.putDocument(draft.draft);
        assert.equal(await tx.insertTemplate(draft), true);
      }
      assert.equal(await tx.insertTemplate(hello), false);
      for (const version of versions) assert.equal(await tx.insertTemplateVersion(version), true);
      assert.equal(await tx.insertTemplateVersion(versions[0]!), false);
    });
    assert.deepEqual(await templates.find('default', 'hello'), hello);
    assert.deepEqual(await templates.find('default', 'old'), archived);
    assert.equal(await templates.find('default', 'nothing'), undefined);
    const ids = async (filter: Parameters<typeof templates.list>[1], after = '', limit = 10) =>
      (await templates.list('default', filter, after, limit)).map((t) => t.id);
    assert.deepEqual(await ids({ type: undefined, archived: false }), ['bare', 'hello']);
    assert.deepEqual(await ids({ type: undefined, archived: true }), ['bare', 'hello', 'old']);
    assert.deepEqual(await ids({ type: 'FAREWELL', archived: true }), ['old']);
    assert.deepEqual(await ids({ type: undefined, archived: true }, 'bare', 1), ['hello']);
    assert.deepEqual(await templates.findVersion('default', 'hello', '1.0.0'), versions[1]);
    assert.equal(await templates.findVersion('default', 'hello', '9.0.0'), undefined);
    const [newest, ...rest] = await templates.listVersions('default', 'hello', 0, 10);
    assert.deepEqual([newest, ...rest].map((v) => v?.record.version), ['1.1.0-rc.1', '1.0.0', '2.0.0']);
    const next = await templates.listVersions('default', 'hello', newest!.position, 1);
    assert.deepEqual(next.map((v) => v.record.version), ['1.0.0']);
    const published = await templates.published(['default'], ['hello', 'old', 'bare', 'nothing']);
    assert.deepEqual(published.toSorted((a, b) => (a.id < b.id ? -1 : 1)), [
      { tenant: 'default', id: 'bare', versions: [] },
      { tenant: 'default', id: 'hello', versions: ['2.0.0', '1.0.0', '1.1.0-rc.1'] },
    ]);
    assert.deepEqual(await templates.published([], ['hello']), []);
    assert.deepEqual(await templates.published(['default'], []), []);
    const edited = { ...hello, draft: archived.draft, editVersion: 2, archiveTime: TIME };
    await registry.write((tx) => tx.updateTemplate(edited));
    assert.deepEqual(await templates.find('default', 'hello'), edited);
  });

  it('bundles: the draft with what it names, and versions with their pins in order', async () => {
    const { bundles } = registry.stores;
    const hello = draftRecord('hello');
    const welcome = draftRecord('welcome');
    const pin = (version: string) => ({ tenant: 'default', templateId: 'hello', version });
    const first = bundleVersion('welcome', '1.0.0', { pins: [pin('2.0.0'), pin('1.0.0'), pin('2.0.0')] });
    const second = bundleVersion('welcome', '1.1.0', { personalityHash: hello.draft.hash });
    await registry.write(async (tx) => {
      for (const { draft } of [hello, welcome]) await tx.putDocument(draft);
      await tx.insertTemplate(hello);
      for (const version of ['1.0.0', '2.0.0']) await tx.insertTemplateVersion(templateVersion('hello', version));
      const references = [
        { templateId: 'hello', version: '^1.0.0' },
        { templateId: 'hello', version: '2.0.0' },
        { templateId: 'hello', version: '2.0.0' },
      ];
      assert.equal(await tx.insertBundle(welcome, references), true);
      assert.equal(await tx.insertBundle(welcome, references), false);
      for (const version of [first, second]) {
        await tx.putDocument(version.snapshot);
        assert.equal(await tx.insertBundleVersion(version), true);
      }
      assert.equal(await tx.insertBundleVersion(first), false);
    });
    assert.deepEqual(await bundles.find('default', 'welcome'), welcome);
    assert.deepEqual(await bundles.list('default', { type: 'GREETING', archived: false }, '', 5), [welcome]);
    assert.deepEqual(await bundles.findVersion('default', 'welcome', '1.0.0'), first);
    assert.equal(await bundles.findVersion('default', 'welcome', '9.0.0'), undefined);
    const listed = await bundles.listVersions('default', 'welcome', 0, 5);
    assert.deepEqual(listed.map((v) => v.record), [second, first]);
    const older = await bundles.listVersions('default', 'welcome', listed[0]!.position, 5);
    assert.deepEqual(older.map((v) => v.record), [first]);
    assert.deepEqual(await bundles.listVersions('default', 'nothing', 0, 5), []);
    assert.deepEqual(await bundles.draftsNaming(['default'], 'hello'), [
      { tenant: 'default', id: 'welcome', versions: ['2.0.0', '^1.0.0'] },
    ]);
    assert.deepEqual(await bundles.holders(['default', 'acme'], 'welcome'), [{ tenant: 'default', type: 'GREETING' }]);
    assert.deepEqual(await bundles.versionHashes(['default'], 'welcome', '1.1.0'), [
      { tenant: 'default', bundleHash: second.snapshot.hash },
    ]);
    assert.deepEqual(await bundles.holders([], 'welcome'), []);
    assert.deepEqual(await bundles.draftsNaming([], 'hello'), []);
    assert.deepEqual(await bundles.versionHashes([], 'welcome', '1.1.0'), []);
    await registry.write((tx) => tx.updateBundle({ ...welcome, editVersion: 2, archiveTime: TIME }, []));
    assert.deepEqual(await bundles.draftsNaming(['default'], 'hello'), []);
    assert.deepEqual(await bundles.holders(['default'], 'welcome'), []);
    assert.deepEqual(await bundles.versionHashes(['default'], 'welcome', '1.1.0'), []);
  });

  it('releases: heads, history, and the release before that served a version', async () => {
    const { releases, bundles } = registry.stores;
    const hello = draftRecord('hello');
    const welcome = draftRecord('welcome');
    const pins = [{ tenant: 'default', templateId: 'hello', version: '1.0.0' }];
    const first = bundleVersion('welcome', '1.0.0', { pins });
    const second = bundleVersion('welcome', '2.0.0');
    const written: ReleaseRecord[] = [];
    const release = async (tx: WriteTransaction, channel: string, revision: number, version?: typeof first) => {
      const seq = await tx.appendChange(changeEntry({ action: 'RELEASE', entityKind: 'BUNDLE', entityId: 'welcome' }));
      const record: ReleaseRecord = {
        tenant: 'default',
        bundleId: 'welcome',
        channel,
        revision,
        kind: version ? 'RELEASE' : 'WITHDRAW',
        targets: version ? [{ version: version.version, bundleHash: version.snapshot.hash, weight: 100 }] : [],
        originRevision: revision,
        seq,
        createTime: TIME,
        createActor: 'admin',
      };
      await tx.insertRelease(record);
      written.push(record);
    };
    await registry.write(async (tx) => {
      for (const { draft } of [hello, welcome]) await tx.putDocument(draft);
      await tx.insertTemplate(hello);
      await tx.insertTemplateVersion(templateVersion('hello', '1.0.0'));
      await tx.insertBundle(welcome, []);
      for (const version of [first, second]) {
        await tx.putDocument(version.snapshot);
        await tx.insertBundleVersion(version);
      }
      await release(tx, 'production', 1, first);
      await release(tx, 'production', 2, second);
      await release(tx, 'production', 3);
      await release(tx, 'beta', 1, first);
      await release(tx, 'production', 4, second);
    });
    const [one, , , beta, four] = written;
    assert.deepEqual(await releases.head('default', 'welcome', 'production'), four);
    assert.equal(await releases.head('default', 'welcome', 'nightly'), undefined);
    assert.deepEqual(await releases.heads('default', 'welcome'), [beta, four]);
    assert.deepEqual(await releases.list('default', 'welcome', '', 0, 10), written.toReversed());
    assert.deepEqual(await releases.list('default', 'welcome', 'production', beta!.seq, 1), [written[2]]);
    const before = (revision: number, version: { is: string } | { isNot: string }) =>
      releases.findBefore('default', 'welcome', 'production', revision, version);
    assert.deepEqual(await before(4, { isNot: '2.0.0' }), one);
    assert.deepEqual(await before(4, { is: '2.0.0' }), written[1]);
    assert.equal(await before(1, { is: '1.0.0' }), undefined);
    const pinning = () => bundles.releasedPinning('default', 'hello');
    assert.deepEqual(await pinning(), [
      { tenant: 'default', bundleId: 'welcome', channel: 'beta', version: '1.0.0' },
    ]);
    await registry.write((tx) => release(tx, 'beta', 2));
    assert.deepEqual(await pinning(), []);
  });

  it('activations: as they are now, by type, and those naming a bundle', async () => {
    const { activations } = registry.stores;
    const record = await registry.write(async (tx) => {
      const put = async (type: 'GREETING' | 'FAREWELL', bundleId: string, revision: number) => {
        const seq = await tx.appendChange(changeEntry({ action: 'ACTIVATE', entityId: type }));
        const activation = { tenant: 'default', type, bundleId, revision, seq, updateTime: TIME, updateActor: 'admin' };
        await tx.putActivation(activation);
        return activation;
      };
      await put('GREETING', 'welcome', 1);
      await put('FAREWELL', 'goodbye', 1);
      return put('GREETING', 'hello', 2);
    });
    assert.deepEqual(await activations.find('default', 'GREETING'), record);
    assert.equal(await activations.find('default', 'HANDOFF'), undefined);
    assert.deepEqual((await activations.list('default', '', 5)).map((a) => a.type), ['FAREWELL', 'GREETING']);
    assert.deepEqual(await activations.list('default', 'FAREWELL', 5), [record]);
    assert.deepEqual(await activations.naming(['default'], 'hello'), [{ tenant: 'default', type: 'GREETING' }]);
    assert.deepEqual(await activations.naming([], 'hello'), []);
  });

  it('changes: by every filter, the latest first', async () => {
    const { changes } = registry.stores;
    await registry.write(async (tx) => {
      await tx.appendChange(changeEntry({ entityId: 'a' }));
      await tx.appendChange(changeEntry({ entityId: 'b', action: 'UPDATE' }));
      await tx.appendChange(changeEntry({ entityId: 'c', entityKind: 'BUNDLE', tenant: 'acme' }));
    });
    const any = {
      tenant: '',
      entityKind: undefined,
      entityId: '',
      action: undefined,
      actor: '',
      hash: '',
      startTime: undefined,
      endTime: undefined,
    };
    const seqs = async (filter: Partial<Parameters<typeof changes.list>[0]>, before = 0, limit = 10) =>
      (await changes.list({ ...any, ...filter }, before, limit)).map((change) => change.seq);
    assert.deepEqual(await seqs({}), [4, 3, 2, 1]);
    assert.deepEqual(await seqs({}, 4, 2), [3, 2]);
    assert.deepEqual(await seqs({ tenant: 'acme' }), [4]);
    assert.deepEqual(await seqs({ entityKind: 'TEMPLATE' }), [3, 2]);
    assert.deepEqual(await seqs({ entityId: 'a' }), [2]);
    assert.deepEqual(await seqs({ action: 'UPDATE' }), [3]);
    assert.deepEqual(await seqs({ actor: 'platen' }), [1]);
    assert.equal(await changes.find(99), undefined);
  });
});
