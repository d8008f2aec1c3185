import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate, type Value } from '@bufbuild/protobuf/wkt';
import type { Violations } from '../../domain/errors.ts';
import type { TenantRecord } from '../../services/stores.ts';
import type { TenantInput } from '../../services/tenant-service.ts';
import type { CapturePolicy, TenantSchema } from '../../../gen/platen/v1/resources_pb.js';
import { capturePolicies } from './enums.ts';
import { jsonObjectOf, valuesOf } from './struct.ts';

/** What CreateTenantRequest and UpdateTenantRequest have in common. */
interface TenantRequest {
  readonly parent: string;
  readonly displayName: string;
  readonly variables: Readonly<Record<string, Value>>;
  readonly capturePolicy: CapturePolicy;
  readonly receiptRetentionDays: number;
}

/** What a request says of a tenant. */
export function readTenant(violations: Violations, tenant: string, request: TenantRequest): TenantInput {
  return {
    tenant,
    parent: request.parent,
    displayName: request.displayName,
    variables: jsonObjectOf(request.variables),
    capturePolicy: capturePolicies.optional(violations, 'capture_policy', request.capturePolicy) ?? 'VARIABLES',
    receiptRetentionDays: request.receiptRetentionDays,
  };
}

export function writeTenant(record: TenantRecord): MessageInitShape<typeof TenantSchema> {
  return {
    tenant: record.tenant,
    parent: record.parent,
    displayName: record.displayName,
    variables: valuesOf(record.variables),
    capturePolicy: capturePolicies.number(record.capturePolicy),
    receiptRetentionDays: record.receiptRetentionDays,
    editVersion: record.editVersion,
    documentHash: record.documentHash,
    createTime: timestampFromDate(record.createTime),
    updateTime: timestampFromDate(record.updateTime),
    updateActor: record.updateActor,
  };
}
