import assert from 'node:assert/strict';
import { Brand, headOf, section } from '../../support/brand.ts';
import { Platen } from '../../support/platen.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';

describe('what is published in the registry', () => {
  let database: TestDatabase;
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    database = await createDatabase();
    platen = await Platen.start(database);
    brand = await Brand.create(platen);
    await brand.template('hello', 'Hello', '1.0.0');
    await brand.bundle('chat', { sections: [section('hello')] });
    await brand.publishBundle('chat', '1.0.0', { channel: 'production', activate: true });
  });
  after(async () => {
    await platen.stop();
    await database.drop();
  });

  /** Everything that must not change, as the contract shows it. */
  async function published() {
    const { tenant } = brand;
    const version = '1.0.0';
    return [
      await platen.clients.templates.getTemplateVersion({ tenant, templateId: 'hello', version }),
      await brand.bundleVersion('chat', version),
      await brand.releases('chat'),
      await platen.clients.audit.listChanges({ pageSize: 1_000 }),
    ];
  }

  /** Runs SQL that must be refused, first with the rights of the server and then with those of the owner. */
  async function assertRefused(sql: string): Promise<void> {
    const before = await published();
    await assert.rejects(asOwner(database, `set role platen_server; ${sql}`), /permission denied|append-only/, sql);
    await assert.rejects(asOwner(database, sql), /append-only/, sql);
    assert.deepEqual(await published(), before);
  }

  const tables = {
    'templates | A published version never changes': {
      template_version: "version = '9.9.9'",
      bundle_version: "personality_hash = ''",
      bundle_version_pin: "template_version = '9.9.9'",
      document: "content = '{}'",
    },
    'audit | Changes and receipts are append-only': {
      change: "actor = 'nobody'",
      release: "targets = '[]'",
    },
  };

  for (const [requirement, held] of Object.entries(tables)) {
    describe(requirement, () => {
      for (const [table, assignment] of Object.entries(held)) {
        it(`${table}: not by UPDATE`, () => assertRefused(`update ${table} set ${assignment}`));
        it(`${table}: not by DELETE`, () => assertRefused(`delete from ${table}`));
        it(`${table}: not by TRUNCATE`, () => assertRefused(`truncate ${table} cascade`));
      }
    });
  }

  describe('A published version never changes', () => {
    it('whatever is written to the draft that it was published from', async () => {
      const before = await published();
      const { tenant } = brand;
      const draft = { content: 'Bye' };
      await platen.clients.templates.updateTemplate({ tenant, templateId: 'hello', draft, editVersion: 1 });
      await brand.publishTemplate('hello', '1.0.1', 2);
      await brand.updateBundle('chat', { sections: [section('hello', '*')] }, 1);
      await brand.publishBundle('chat', '1.0.1', { editVersion: 2 });
      assert.deepEqual((await published()).slice(0, 3), before.slice(0, 3));
      assert.equal(await brand.text('chat'), 'Hello');
    });

    it('nor can the server that serves it take its protection away', async () => {
      const head = await headOf(platen);
      for (const sql of [
        'alter table bundle_version disable trigger all',
        'drop trigger append_only on bundle_version',
        'drop table bundle_version cascade',
        'create or replace function platen_refuse() returns trigger language plpgsql as $$ begin return new; end $$',
      ]) {
        const attempt = asOwner(database, `set role platen_server; ${sql}`);
        await assert.rejects(attempt, /must be owner|permission denied/, sql);
      }
      assert.equal(await headOf(platen), head);
    });
  });
});
