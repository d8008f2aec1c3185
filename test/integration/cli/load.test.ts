import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connect } from '../../../src/cli/client.ts';
import { loadExamples, type LoadCounts } from '../../../src/cli/load.ts';
import { startScriptedServer } from '../../support/cli/scripted-server.ts';
import { Platen } from '../../support/platen.ts';

const NOTHING: LoadCounts = { created: 0, updated: 0, unchanged: 0, published: 0, released: 0, activated: 0 };

describe('The demo ends with a rendered prompt: loading the examples', () => {
  let platen: Platen;
  let folder: string;
  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, 'brands', path)), { recursive: true });
    await writeFile(join(folder, 'brands', path), text);
  };
  const load = (): Promise<LoadCounts> => loadExamples(platen.clients, folder);

  describe('the examples', () => {
    it('all are there after the first time, and the second time changes nothing', async () => {
      await cp('examples', folder, { recursive: true });
      assert.deepEqual(await load(), { ...NOTHING, created: 31, updated: 1, published: 29, released: 9, activated: 7 });
      const { changes: before } = await platen.clients.audit.listChanges({ pageSize: 1 });
      assert.deepEqual(await load(), { ...NOTHING, unchanged: 32 });
      const { changes: after } = await platen.clients.audit.listChanges({ pageSize: 1 });
      assert.equal(after[0]!.seq, before[0]!.seq);
    });

    it('a file that changed is saved, and published once it names a new version', async () => {
      await cp('examples', folder, { recursive: true });
      await load();
      const template = 'northwind-bank/templates/banking-rules.md';
      const bundle = 'northwind-bank/bundles/assistant.yaml';
      const tenant = 'northwind-bank/tenant.yaml';
      const edit = async (path: string, from: string, to: string): Promise<void> => {
        const text = await readFile(join(folder, 'brands', path), 'utf8');
        assert.ok(text.includes(from));
        await write(path, text.replace(from, to));
      };
      await edit(tenant, 'display_name: Northwind Bank', 'display_name: Northwind');
      await edit(template, 'version: 1.4.0', 'version: 1.5.0');
      await edit(template, '# Banking', '# Banking rules');
      await edit(bundle, 'version: 1.0.0', 'version: 1.1.0');
      await edit(bundle, 'temperature: 0.1', 'temperature: 0.2');
      assert.deepEqual(await load(), { ...NOTHING, unchanged: 29, updated: 3, published: 2, released: 1 });
      assert.deepEqual(await load(), { ...NOTHING, unchanged: 32 });
      const { text } = await platen.clients.renders.preview({
        tenant: 'northwind-bank',
        subject: { case: 'bundleVersion', value: { id: 'assistant', version: '1.1.0' } },
      });
      assert.ok(text.includes('# Banking rules'));
    });
  });

  it('parents come first, whatever their names, and also those that only the server has', async () => {
    await write('aaa/tenant.yaml', 'parent: zzz\n');
    await write('zzz/tenant.yaml', 'parent: default\n');
    assert.deepEqual(await load(), { ...NOTHING, created: 2 });
    await rm(join(folder, 'brands'), { recursive: true });
    await write('bbb/tenant.yaml', 'parent: zzz\n');
    assert.deepEqual(await load(), { ...NOTHING, created: 1 });
  });

  it('a circle of parents is left to the server to refuse', async () => {
    await write('one/tenant.yaml', 'parent: two\n');
    await write('two/tenant.yaml', 'parent: one\n');
    await assert.rejects(load(), /tenant (one|two) does not exist/);
  });

  it('an error other than that something is missing ends it', async () => {
    await write('acme/tenant.yaml', 'display_name: Acme\n');
    const deaf = await startScriptedServer({});
    const connection = connect(deaf.address);
    await assert.rejects(loadExamples(connection.clients, folder), /unimplemented/);
    connection.close();
    await deaf.close();
  });

  it('what names no version is saved and not published, and a bundle without a channel is not released', async () => {
    await write('draft/tenant.yaml', 'display_name: Draft\n');
    await write('draft/templates/hello.md', '---\ntype: GREETING\n---\nHi\n');
    const sections = 'sections: [{ template: hello, version: ^1, role: SYSTEM }]';
    await write('draft/bundles/hello.yaml', `type: GREETING\n${sections}\n`);
    assert.deepEqual(await load(), { ...NOTHING, created: 3 });
    await write('draft/templates/hello.md', '---\ntype: GREETING\nversion: 1.0.0\n---\nHi\n');
    await write('draft/bundles/hello.yaml', `type: GREETING\nversion: 1.0.0\n${sections}\n`);
    assert.deepEqual(await load(), { ...NOTHING, unchanged: 3, published: 2 });
  });

  it('a version that is published with other content is refused, and the file named', async () => {
    const template = join('other', 'templates', 'hello.md');
    const bundle = join('other', 'bundles', 'hello.yaml');
    const sections = 'sections: [{ template: hello, version: ^1, role: SYSTEM }]';
    await write('other/tenant.yaml', 'display_name: Other\n');
    await write(template, '---\ntype: GREETING\nversion: 1.0.0\n---\nHi\n');
    await write(bundle, `type: GREETING\nversion: 1.0.0\n${sections}\n`);
    await load();
    await write(bundle, `type: GREETING\nversion: 1.0.0\n${sections}\nmodel_config: { a: 1 }\n`);
    await assert.rejects(load(), {
      message: `${join(folder, 'brands', bundle)}: version 1.0.0 is published with other content; name a new version`,
    });
    await write(template, '---\ntype: GREETING\nversion: 1.0.0\n---\nHello\n');
    await assert.rejects(load(), {
      message: `${join(folder, 'brands', template)}: version 1.0.0 is published with other content; name a new version`,
    });
  });
});
