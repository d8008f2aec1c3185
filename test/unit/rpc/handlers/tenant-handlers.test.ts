import assert from 'node:assert/strict';
import { tenantHandlers } from '../../../../src/rpc/handlers/tenant-handlers.ts';
import { valueOf } from '../../../../src/rpc/mapping/struct.ts';
import type { TenantRecord } from '../../../../src/services/stores.ts';
import type { TenantService } from '../../../../src/services/tenant-service.ts';
import { CapturePolicy } from '../../../../gen/platen/v1/resources_pb.js';
import { TenantService as TenantRpc } from '../../../../gen/platen/v1/tenant_service_pb.js';
import { call, MemoryWrites, partOf } from '../../../support/handler-call.ts';

const { method } = TenantRpc;
const TIME = new Date('2026-03-01T12:00:00.123Z');

function record(tenant: string): TenantRecord {
  return {
    tenant,
    parent: 'default',
    displayName: '',
    variables: {},
    capturePolicy: 'VARIABLES',
    receiptRetentionDays: 0,
    editVersion: 1,
    documentHash: 'a'.repeat(64),
    createTime: TIME,
    updateTime: TIME,
    updateActor: 'key:1',
  };
}

const INPUT = {
  parent: 'brands',
  displayName: 'Acme',
  variables: { brand: 'Acme' },
  capturePolicy: 'HASH_ONLY',
  receiptRetentionDays: 90,
} as const;

const REQUEST = {
  parent: 'brands',
  displayName: 'Acme',
  variables: { brand: valueOf('Acme') },
  capturePolicy: CapturePolicy.HASH_ONLY,
  receiptRetentionDays: 90,
};

describe('Tenants are edited under an edit version', () => {
  const asked: unknown[] = [];
  const tenants = partOf<TenantService>({
    create: async (_tx, input) => {
      asked.push(input);
      return { tenant: record('acme'), seq: 7 };
    },
    update: async (_tx, input) => {
      asked.push(input);
      return { tenant: record('acme'), seq: 8 };
    },
    get: async (tenant) => record(tenant),
    list: async (after, limit) => ['a', 'b', 'c'].filter((id) => id > after).slice(0, limit).map(record),
  });
  const served = tenantHandlers(new MemoryWrites(), tenants);

  it('CreateTenant', async () => {
    const answer = await call(served, method.createTenant, { tenant: 'acme', ...REQUEST });
    assert.deepEqual(asked.pop(), { tenant: 'acme', ...INPUT });
    assert.equal(answer.tenant?.tenant, 'acme');
    assert.equal(answer.seq, 7n);
  });

  it('CreateTenant has no id to fall back to', async () => {
    await call(served, method.createTenant, REQUEST);
    assert.deepEqual(asked.pop(), { tenant: '', ...INPUT });
  });

  it('GetTenant', async () => {
    assert.equal((await call(served, method.getTenant, { tenant: 'acme' })).tenant?.tenant, 'acme');
    assert.equal((await call(served, method.getTenant, {})).tenant?.tenant, 'default');
  });

  it('UpdateTenant', async () => {
    const answer = await call(served, method.updateTenant, { tenant: 'acme', editVersion: 3, ...REQUEST });
    assert.deepEqual(asked.pop(), { tenant: 'acme', editVersion: 3, ...INPUT });
    assert.equal(answer.tenant?.tenant, 'acme');
    assert.equal(answer.seq, 8n);
    await call(served, method.updateTenant, REQUEST);
    assert.deepEqual(asked.pop(), { tenant: 'default', editVersion: 0, ...INPUT });
  });

  it('ListTenants', async () => {
    const first = await call(served, method.listTenants, { pageSize: 2 });
    assert.deepEqual(first.tenants.map(({ tenant }) => tenant), ['a', 'b']);
    const last = await call(served, method.listTenants, { pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(last.tenants.map(({ tenant }) => tenant), ['c']);
    assert.equal(last.nextPageToken, '');
  });
});
