import assert from 'node:assert/strict';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, section } from '../../support/brand.ts';
import { failure, Platen } from '../../support/platen.ts';

const { GREETING, FAREWELL, HANDOFF, REJECTION, CLARIFICATION } = PromptType;

/** What any list answers with, its items as the names that tell them apart. */
interface Page {
  readonly items: readonly string[];
  readonly nextPageToken: string;
}

type List = (page: { pageSize: number; pageToken: string }) => Promise<Page>;

describe('lists of the registry', () => {
  let platen: Platen;
  let brand: Brand;

  before(async () => {
    platen = await Platen.start();
    brand = await Brand.create(platen);
    for (const id of ['c', 'a', 'e', 'b', 'd']) await brand.template(id, 'Hello', '1.0.0');
    for (const version of ['1.1.0', '0.9.0', '2.0.0', '1.0.1']) await brand.publishTemplate('a', version);
    for (const [id, type] of [['a', FAREWELL], ['e', HANDOFF], ['b', REJECTION], ['d', CLARIFICATION]] as const) {
      await brand.createBundle(id, { sections: [section(id)] }, type);
      await brand.activate(id, type);
    }
    await brand.createBundle('c', { sections: [section('c')] });
    await brand.activate('c');
    for (const version of ['1.0.0', '1.1.0', '0.9.0', '2.0.0', '1.0.1']) await brand.publishBundle('c', version);
    for (const version of ['1.0.0', '1.1.0', '0.9.0']) await brand.release('c', version);
    for (const version of ['1.0.0', '1.1.0']) await brand.release('c', version, 'beta');
    for (let index = 0; index < 4; index += 1) await brand.child();
  });
  after(() => platen.stop());

  const lists: Record<string, { readonly list: List; readonly items: readonly string[] }> = {
    ListTemplates: {
      list: async (page) => {
        const { templates, nextPageToken } = await platen.clients.templates.listTemplates({ ...page, ...owner() });
        return { items: templates.map(({ templateId }) => templateId), nextPageToken };
      },
      items: ['a', 'b', 'c', 'd', 'e'],
    },
    ListTemplateVersions: {
      list: async (page) => {
        const request = { ...page, ...owner(), templateId: 'a' };
        const { versions, nextPageToken } = await platen.clients.templates.listTemplateVersions(request);
        return { items: versions.map(({ version }) => version), nextPageToken };
      },
      items: ['1.0.1', '2.0.0', '0.9.0', '1.1.0', '1.0.0'],
    },
    ListBundles: {
      list: async (page) => {
        const { bundles, nextPageToken } = await platen.clients.bundles.listBundles({ ...page, ...owner() });
        return { items: bundles.map(({ bundleId }) => bundleId), nextPageToken };
      },
      items: ['a', 'b', 'c', 'd', 'e'],
    },
    ListBundleVersions: {
      list: async (page) => {
        const request = { ...page, ...owner(), bundleId: 'c' };
        const { versions, nextPageToken } = await platen.clients.bundles.listBundleVersions(request);
        assert.ok(versions.every(({ canonicalJson, pins }) => canonicalJson === '' && pins.length === 1));
        return { items: versions.map(({ version }) => version), nextPageToken };
      },
      items: ['1.0.1', '2.0.0', '0.9.0', '1.1.0', '1.0.0'],
    },
    ListReleases: {
      list: async (page) => {
        const request = { ...page, ...owner(), bundleId: 'c' };
        const { releases, nextPageToken } = await platen.clients.bundles.listReleases(request);
        return { items: releases.map(({ channel, revision }) => `${channel} ${revision}`), nextPageToken };
      },
      items: ['beta 2', 'beta 1', 'production 3', 'production 2', 'production 1'],
    },
    ListActivations: {
      list: async (page) => {
        const { activations, nextPageToken } = await platen.clients.bundles.listActivations({ ...page, ...owner() });
        return { items: activations.map(({ type }) => PromptType[type]), nextPageToken };
      },
      items: ['CLARIFICATION', 'FAREWELL', 'GREETING', 'HANDOFF', 'REJECTION'],
    },
    ListChanges: {
      list: async (page) => {
        const request = { ...page, ...owner(), entityId: 'a', action: 3 };
        const { changes, nextPageToken } = await platen.clients.audit.listChanges(request);
        return { items: changes.map(({ detail }) => String(detail?.['version'])), nextPageToken };
      },
      items: ['1.0.1', '2.0.0', '0.9.0', '1.1.0', '1.0.0'],
    },
  };

  function owner(): { tenant: string } {
    return { tenant: brand.tenant };
  }

  /** All pages, from the first to the last. */
  async function walk(list: List, pageSize: number): Promise<Page[]> {
    const pages: Page[] = [];
    for (let pageToken = ''; ; ) {
      const page = await list({ pageSize, pageToken });
      pages.push(page);
      pageToken = page.nextPageToken;
      if (pageToken === '') return pages;
    }
  }

  describe('Lists are paged by an opaque token', () => {
    for (const [rpc, { list, items }] of Object.entries(lists)) {
      it(`${rpc} gives each of five items once, two at a time`, async () => {
        const pages = await walk(list, 2);
        assert.deepEqual(pages.map((page) => page.items.length), [2, 2, 1]);
        assert.deepEqual(pages.flatMap((page) => page.items), items);
      });

      it(`${rpc} gives all at once where they fit on a page, and says that it was the last`, async () => {
        assert.deepEqual(await list({ pageSize: 5, pageToken: '' }), { items, nextPageToken: '' });
        assert.deepEqual(await list({ pageSize: 0, pageToken: '' }), { items, nextPageToken: '' });
      });
    }

    it('ListTenants goes over the whole tree by id', async () => {
      const names: string[] = [];
      for (let pageToken = ''; ; ) {
        const page = await platen.clients.tenants.listTenants({ pageSize: 2, pageToken });
        names.push(...page.tenants.map(({ tenant }) => tenant));
        pageToken = page.nextPageToken;
        if (pageToken === '') break;
      }
      assert.deepEqual(names, names.toSorted());
      assert.equal(new Set(names).size, 6);
      assert.ok(names.includes('default') && names.includes(brand.tenant));
    });

    it('a token of another list, another request or nobody is refused', async () => {
      const templates = (request: object) => platen.clients.templates.listTemplates({ ...owner(), ...request });
      const { nextPageToken: pageToken } = await templates({ pageSize: 2 });
      for (const call of [
        () => templates({ pageToken, tenant: 'default' }),
        () => templates({ pageToken, showArchived: true }),
        () => templates({ pageToken: 'nonsense' }),
        () => platen.clients.bundles.listBundles({ ...owner(), pageToken }),
        () => platen.clients.tenants.listTenants({ pageToken }),
      ]) {
        const { code, violations } = await failure(call());
        assert.deepEqual([code, violations], ['InvalidArgument', ['page_token BAD_FORMAT']]);
      }
    });

    it('the size may change from page to page, must not be negative, and is clamped', async () => {
      const list = lists['ListTemplates']!.list;
      const { nextPageToken } = await list({ pageSize: 1, pageToken: '' });
      assert.deepEqual((await list({ pageSize: 3, pageToken: nextPageToken })).items, ['b', 'c', 'd']);
      assert.equal((await list({ pageSize: 1_000_000, pageToken: '' })).items.length, 5);
      const { violations } = await failure(list({ pageSize: -1, pageToken: '' }));
      assert.deepEqual(violations, ['page_size OUT_OF_RANGE']);
    });

    it('what is written meanwhile neither repeats an item nor drops one', async () => {
      const own = await Brand.create(platen);
      for (const id of ['b', 'd', 'f']) await own.template(id);
      const list = (pageToken: string) =>
        platen.clients.templates.listTemplates({ tenant: own.tenant, pageSize: 2, pageToken });
      const first = await list('');
      for (const id of ['a', 'e']) await own.template(id);
      await own.deleteTemplate('d');
      const second = await list(first.nextPageToken);
      assert.deepEqual([first, second].flatMap((page) => page.templates.map(({ templateId }) => templateId)), [
        'b',
        'd',
        'e',
        'f',
      ]);
    });

    it('templates and bundles are filtered by type, and archived ones are shown on demand', async () => {
      const own = await Brand.create(platen);
      const { tenant } = own;
      await own.template('hello');
      await own.template('old');
      await own.createBundle('hi', { sections: [section('hello')] }, GREETING);
      await own.createBundle('bye', { sections: [section('hello')] }, FAREWELL);
      await own.createBundle('gone', { sections: [section('hello')] }, FAREWELL);
      await own.deleteTemplate('old');
      await own.deleteBundle('gone');
      const templates = async (filter: object) =>
        (await platen.clients.templates.listTemplates({ tenant, ...filter })).templates.map((each) => each.templateId);
      const bundles = async (filter: object) =>
        (await platen.clients.bundles.listBundles({ tenant, ...filter })).bundles.map((each) => each.bundleId);
      assert.deepEqual(await templates({}), ['hello']);
      assert.deepEqual(await templates({ showArchived: true }), ['hello', 'old']);
      assert.deepEqual(await templates({ type: GREETING }), []);
      assert.deepEqual(await bundles({}), ['bye', 'hi']);
      assert.deepEqual(await bundles({ type: FAREWELL }), ['bye']);
      assert.deepEqual(await bundles({ type: FAREWELL, showArchived: true }), ['bye', 'gone']);
      const { violations } = await failure(bundles({ type: 99 }));
      assert.deepEqual(violations, ['type OUT_OF_RANGE']);
    });

    it('releases are those of one channel on demand', async () => {
      assert.deepEqual((await brand.releases('c', 'beta')).map(({ revision }) => revision), [2, 1]);
      assert.deepEqual(await brand.releases('c', 'nowhere'), []);
    });
  });
});
