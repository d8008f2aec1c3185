import assert from 'node:assert/strict';
import { Violations } from '../../../../src/domain/errors.ts';
import { readTenant, writeTenant } from '../../../../src/rpc/mapping/tenant.ts';
import type { TenantRecord } from '../../../../src/services/stores.ts';
import { CapturePolicy, TenantSchema } from '../../../../gen/platen/v1/resources_pb.js';
import { CreateTenantRequestSchema } from '../../../../gen/platen/v1/tenant_service_pb.js';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

const RECORD: TenantRecord = {
  tenant: 'acme',
  parent: 'default',
  displayName: 'Acme',
  variables: { brand: 'Acme', limits: { hours: [9, 17] }, none: null },
  capturePolicy: 'FULL',
  receiptRetentionDays: 365,
  editVersion: 3,
  documentHash: 'a'.repeat(64),
  createTime: new Date('2026-03-01T12:00:00.123Z'),
  updateTime: new Date('2026-03-02T12:00:00.456Z'),
  updateActor: 'key:1',
};

describe('Tenants form a tree under default', () => {
  it('a tenant is answered with all that is kept of it', () => {
    const tenant = overTheWire(TenantSchema, writeTenant(RECORD));
    assert.deepEqual(unsetFields(TenantSchema, tenant), []);
    assert.equal(tenant.capturePolicy, CapturePolicy.FULL);
    assert.deepEqual(readTenant(new Violations(), tenant.tenant, tenant), {
      tenant: 'acme',
      parent: 'default',
      displayName: 'Acme',
      variables: { brand: 'Acme', limits: { hours: [9, 17] }, none: null },
      capturePolicy: 'FULL',
      receiptRetentionDays: 365,
    });
  });

  it('a request that says nothing asks for VARIABLES and no more', () => {
    const violations = new Violations();
    assert.deepEqual(readTenant(violations, '', overTheWire(CreateTenantRequestSchema, {})), {
      tenant: '',
      parent: '',
      displayName: '',
      variables: {},
      capturePolicy: 'VARIABLES',
      receiptRetentionDays: 0,
    });
    assert.equal(violations.size, 0);
  });

  it('a capture policy that the contract does not have is refused', () => {
    const violations = new Violations();
    readTenant(violations, 'acme', overTheWire(CreateTenantRequestSchema, { capturePolicy: 9 as CapturePolicy }));
    assert.throws(() => violations.throwIfAny(), /capture_policy: 9 is not a value/);
  });
});
