import assert from 'node:assert/strict';
import { CapturePolicy } from '../../../gen/platen/v1/resources_pb.js';
import { Brand, refused, section } from '../../support/brand.ts';
import { failure, Platen } from '../../support/platen.ts';

const text = (value: string) => ({ kind: { case: 'stringValue', value } }) as const;
/** What a client that is newer than the server may send. */
const UNKNOWN: number = 99;
const NULL = { kind: { case: 'nullValue', value: 0 } } as const;

describe('the registry of tenants', () => {
  let platen: Platen;

  before(async () => {
    platen = await Platen.start();
  });
  after(() => platen.stop());

  async function tenantOf(tenant: string) {
    return (await platen.clients.tenants.getTenant({ tenant })).tenant!;
  }

  describe('Tenants form a tree under default', () => {
    it('an empty tenant field means default, the root', async () => {
      const root = await tenantOf('');
      assert.deepEqual([root.tenant, root.parent], ['default', '']);
    });

    it('an empty parent means default', async () => {
      const { tenant } = await platen.clients.tenants.createTenant({ tenant: 'tree-a', displayName: 'A' });
      assert.deepEqual([tenant?.parent, tenant?.displayName, tenant?.editVersion], ['default', 'A', 1]);
      assert.equal(tenant?.capturePolicy, CapturePolicy.VARIABLES);
      assert.deepEqual(await tenantOf('tree-a'), tenant);
    });

    it('an unknown parent is not found', async () => {
      const create = () => platen.clients.tenants.createTenant({ tenant: 'tree-orphan', parent: 'nobody' });
      const { code, resource } = await refused(platen, create);
      assert.deepEqual([code, resource], ['NotFound', 'tenant nobody']);
      assert.equal((await failure(tenantOf('tree-orphan'))).code, 'NotFound');
    });

    it('no tenant is its own parent from the start', async () => {
      const create = () => platen.clients.tenants.createTenant({ tenant: 'tree-loop', parent: 'tree-loop' });
      const { code, resource } = await refused(platen, create);
      assert.deepEqual([code, resource], ['NotFound', 'tenant tree-loop']);
    });

    it('a taken id is refused', async () => {
      for (const tenant of ['default', 'tree-a']) {
        const { code, reason, resource } = await refused(platen, () => platen.clients.tenants.createTenant({ tenant }));
        assert.deepEqual([code, reason, resource], ['AlreadyExists', 'RESOURCE_EXISTS', `tenant ${tenant}`]);
      }
    });

    it('a tenant moves with all below it, and never below itself', async () => {
      const top = await Brand.create(platen);
      const middle = await top.child();
      const bottom = await middle.child();
      const elsewhere = await Brand.create(platen);
      await elsewhere.template('hello', 'From elsewhere', '1.0.0');
      await elsewhere.bundle('chat', { sections: [section('hello')] }, '1.0.0');
      await elsewhere.release('chat', '1.0.0');

      for (const parent of [middle.tenant, bottom.tenant]) {
        const move = () => platen.clients.tenants.updateTenant({ tenant: middle.tenant, parent, editVersion: 1 });
        const { code, violations } = await refused(platen, move, () => tenantOf(middle.tenant));
        assert.deepEqual([code, violations], ['InvalidArgument', ['parent CYCLE']]);
      }
      const lost = { tenant: middle.tenant, parent: 'nobody', editVersion: 1 };
      const { code, resource } = await refused(platen, () => platen.clients.tenants.updateTenant(lost));
      assert.deepEqual([code, resource], ['NotFound', 'tenant nobody']);

      assert.equal((await failure(bottom.text('chat'))).code, 'NotFound');
      const move = { tenant: middle.tenant, parent: elsewhere.tenant, editVersion: 1 };
      assert.equal((await platen.clients.tenants.updateTenant(move)).tenant?.parent, elsewhere.tenant);
      assert.equal(await bottom.text('chat'), 'From elsewhere');
    });

    it('the tree has at most 16 levels, however it grows', async () => {
      const brands = [await Brand.create(platen)];
      while (brands.length < 15) brands.push(await brands.at(-1)!.child());
      const deepest = brands.at(-1)!;
      const deeper = () => platen.clients.tenants.createTenant({ tenant: 'tree-deeper', parent: deepest.tenant });
      const { code, violations } = await refused(platen, deeper);
      assert.deepEqual([code, violations], ['InvalidArgument', ['parent TOO_DEEP']]);

      const top = await Brand.create(platen);
      const moved = await top.child();
      await moved.child();
      const below = (parent: Brand) =>
        platen.clients.tenants.updateTenant({ tenant: moved.tenant, parent: parent.tenant, editVersion: 1 });
      const move = () => below(brands[13]!);
      assert.deepEqual((await refused(platen, move, () => tenantOf(moved.tenant))).violations, ['parent TOO_DEEP']);
      assert.equal((await below(brands[12]!)).tenant?.parent, brands[12]!.tenant);
    });

    it('the root stays the root', async () => {
      const { editVersion } = await tenantOf('');
      const move = () => platen.clients.tenants.updateTenant({ parent: 'tree-a', editVersion });
      const { violations } = await refused(platen, move, () => tenantOf(''));
      assert.deepEqual(violations, ['parent NOT_APPLICABLE']);
    });
  });

  describe('Tenants are edited under an edit version', () => {
    it('an update replaces everything that the tenant holds', async () => {
      const { tenant } = await Brand.create(platen);
      const first = await platen.clients.tenants.updateTenant({
        tenant,
        displayName: 'Acme',
        variables: { brand: text('Acme'), tone: text('calm') },
        capturePolicy: CapturePolicy.FULL,
        editVersion: 1,
      });
      assert.deepEqual([first.tenant?.editVersion, first.tenant?.capturePolicy], [2, CapturePolicy.FULL]);
      const { tenant: second } = await platen.clients.tenants.updateTenant({
        tenant,
        variables: { brand: text('Acme') },
        editVersion: 2,
      });
      assert.deepEqual(Object.keys(second!.variables), ['brand']);
      assert.deepEqual([second?.displayName, second?.editVersion], ['', 3]);
      assert.equal(second?.capturePolicy, CapturePolicy.VARIABLES);
      assert.deepEqual(await tenantOf(tenant), second);
    });

    it('of two admins the second one is told what the first one saved', async () => {
      const { tenant } = await Brand.create(platen);
      const save = (brand: string, editVersion: number) =>
        platen.clients.tenants.updateTenant({ tenant, variables: { brand: text(brand) }, editVersion });
      const { tenant: saved } = await save('first', 1);
      const { code, reason, metadata } = await refused(platen, () => save('second', 1), () => tenantOf(tenant));
      assert.deepEqual([code, reason], ['Aborted', 'STALE_EDIT_VERSION']);
      assert.deepEqual(
        [metadata['edit_version'], metadata['expected'], metadata['draft_hash'], metadata['update_actor']],
        ['2', '1', saved?.documentHash, 'anonymous@loopback'],
      );
      assert.equal((await save('second', 2)).tenant?.editVersion, 3);
    });

    it('an edit version is required', async () => {
      const { tenant } = await Brand.create(platen);
      const { violations } = await refused(platen, () => platen.clients.tenants.updateTenant({ tenant }));
      assert.deepEqual(violations, ['edit_version REQUIRED']);
    });

    it('what is wrong with a tenant is said all at once', async () => {
      const create = () =>
        platen.clients.tenants.createTenant({
          tenant: 'Bad Id',
          displayName: 'x'.repeat(201),
          variables: { 'Not-a-name': text('x'), size: { kind: { case: 'numberValue', value: Number.NaN } } },
          capturePolicy: UNKNOWN,
        });
      const { code, violations } = await refused(platen, create);
      assert.equal(code, 'InvalidArgument');
      assert.deepEqual(violations, [
        'capture_policy OUT_OF_RANGE',
        'display_name TOO_LONG',
        'tenant BAD_FORMAT',
        'variables.Not-a-name BAD_FORMAT',
        'variables.size NOT_FINITE',
      ]);
    });

    it('its variables are bounded', async () => {
      const { tenant } = await Brand.create(platen);
      const many = Object.fromEntries(Array.from({ length: 129 }, (_, index) => [`v${index}`, text('x')]));
      const huge = { page: text('x'.repeat(256 * 1024 + 1)) };
      for (const [variables, violation] of [[many, 'variables TOO_MANY'], [huge, 'variables TOO_LARGE']] as const) {
        const save = () => platen.clients.tenants.updateTenant({ tenant, variables, editVersion: 1 });
        assert.deepEqual((await refused(platen, save)).violations, [violation]);
      }
    });
  });

  describe('A tenant says how long receipts are kept', () => {
    it('when it is made, and with each update', async () => {
      const { tenants } = platen.clients;
      const { tenant } = await tenants.createTenant({ tenant: 'keeper', receiptRetentionDays: 36_500 });
      assert.equal(tenant?.receiptRetentionDays, 36_500);
      assert.deepEqual(await tenantOf('keeper'), tenant);
      const update = { tenant: 'keeper', receiptRetentionDays: 365, editVersion: 1 };
      assert.equal((await tenants.updateTenant(update)).tenant?.receiptRetentionDays, 365);
      assert.equal((await tenantOf('keeper')).receiptRetentionDays, 365);
    });

    it('one that says nothing says what its parent says', async () => {
      const { tenant } = await Brand.create(platen);
      assert.equal((await tenantOf(tenant)).receiptRetentionDays, 0);
    });

    for (const receiptRetentionDays of [-1, 36_501]) {
      it(`${receiptRetentionDays} days are refused`, async () => {
        const { tenant } = await Brand.create(platen);
        const { tenants } = platen.clients;
        const create = () => tenants.createTenant({ tenant: 'never', receiptRetentionDays });
        assert.deepEqual((await refused(platen, create)).violations, ['receipt_retention_days OUT_OF_RANGE']);
        const save = () => tenants.updateTenant({ tenant, receiptRetentionDays, editVersion: 1 });
        const saved = await refused(platen, save, () => tenantOf(tenant));
        assert.deepEqual(saved.violations, ['receipt_retention_days OUT_OF_RANGE']);
      });
    }
  });

  describe('Tenant variables are inherited', () => {
    it('for each name the nearest tenant that sets a value wins', async () => {
      const base = await Brand.create(platen);
      const child = await base.child();
      await platen.clients.tenants.updateTenant({
        tenant: base.tenant,
        variables: { brand: text('Base'), tone: text('calm'), greeting: text('Hello') },
        editVersion: 1,
      });
      await platen.clients.tenants.updateTenant({
        tenant: child.tenant,
        parent: base.tenant,
        variables: { brand: text('Acme'), greeting: NULL },
        editVersion: 1,
      });
      await base.template('line', '{greeting} from {brand}, {tone}', '1.0.0');
      await base.bundle('chat', { sections: [section('line')] }, '1.0.0');
      await base.release('chat', '1.0.0');
      assert.equal(await child.text('chat'), 'Hello from Acme, calm');
      assert.equal(await base.text('chat'), 'Hello from Base, calm');
      assert.equal(await child.text('chat', { tone: 'brisk' }), 'Hello from Acme, brisk');
    });
  });
});
