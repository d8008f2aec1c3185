import assert from 'node:assert/strict';
import { Retention } from '../../../src/domain/retention.ts';

const DAY = 86_400_000;
const END = Date.parse('2026-02-01T00:00:00Z');

const retention = new Retention([
  { tenant: 'default', parent: '', days: 30 },
  { tenant: 'acme', parent: 'default', days: 365 },
  { tenant: 'acme-kids', parent: 'acme', days: 0 },
  { tenant: 'brief', parent: 'acme', days: 1 },
  { tenant: 'plain', parent: 'default', days: 0 },
]);

describe('A tenant says how long receipts are kept', () => {
  const kept = { acme: 365, 'acme-kids': 365, brief: 1, plain: 30, nobody: 30 };
  for (const [tenant, days] of Object.entries(kept)) {
    it(`${tenant} for ${days} days`, () => assert.equal(retention.days(tenant), days));
  }

  it('where nobody says anything nothing is kept', () => {
    const silent = new Retention([
      { tenant: 'default', parent: '', days: 0 },
      { tenant: 'acme', parent: 'default', days: 0 },
    ]);
    assert.equal(silent.days('acme'), 0);
    assert.equal(silent.keeper(['acme'], END, END), undefined);
  });
});

describe('Pruning keeps within each tenant\'s retention', () => {
  it('a day goes once the last of them lets go, and not a millisecond sooner', () => {
    const tenants = ['brief', 'plain'];
    assert.deepEqual(retention.keeper(tenants, END, END + 30 * DAY - 1), { tenant: 'plain', days: 30 });
    assert.equal(retention.keeper(tenants, END, END + 30 * DAY), undefined);
  });

  it('the one that keeps longest is named, of several the first', () => {
    assert.deepEqual(retention.keeper(['plain', 'acme-kids', 'acme'], END, END), { tenant: 'acme', days: 365 });
  });

  it('a day without receipts is kept by nobody', () => {
    assert.equal(retention.keeper([], END, END), undefined);
  });
});
