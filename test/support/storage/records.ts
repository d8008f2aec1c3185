import { documentOf, type Document } from '../../../src/domain/document.ts';
import { tenantDocument } from '../../../src/domain/tenant.ts';
import type {
  BundleVersionRecord,
  DraftRecord,
  TemplateVersionRecord,
  TenantRecord,
} from '../../../src/services/stores.ts';
import type { ChangeEntry, ReceiptFilter, ReceiptRecord } from '../../../src/services/trail.ts';

export const TIME = new Date('2026-03-01T12:00:00.123Z');

export function tenantRecord(tenant: string, changes: Partial<TenantRecord> = {}): TenantRecord {
  const content = { parent: 'default', displayName: '', variables: {}, capturePolicy: 'FULL' as const };
  return {
    ...content,
    receiptRetentionDays: 0,
    tenant,
    editVersion: 1,
    documentHash: tenantDocument(content).hash,
    createTime: TIME,
    updateTime: TIME,
    updateActor: 'admin',
    ...changes,
  };
}

/** The document of `tenantRecord`s. */
export const TENANT_DOCUMENT: Document = tenantDocument({
  parent: 'default',
  displayName: '',
  variables: {},
  capturePolicy: 'FULL',
});

export function draftRecord(id: string, changes: Partial<DraftRecord> = {}): DraftRecord {
  return {
    tenant: 'default',
    id,
    type: 'GREETING',
    editVersion: 1,
    draft: documentOf({ type: 'GREETING', content: id }),
    latestVersion: '',
    createTime: TIME,
    updateTime: TIME,
    updateActor: 'admin',
    archiveTime: undefined,
    ...changes,
  };
}

export function templateVersion(id: string, version: string, tenant = 'default'): TemplateVersionRecord {
  return {
    tenant,
    id,
    version,
    type: 'GREETING',
    document: documentOf({ type: 'GREETING', content: id }),
    editVersion: 1,
    createTime: TIME,
    createActor: 'admin',
  };
}

export function bundleVersion(
  id: string,
  version: string,
  changes: Partial<BundleVersionRecord> = {},
): BundleVersionRecord {
  return {
    tenant: 'default',
    id,
    version,
    type: 'GREETING',
    draft: documentOf({ type: 'GREETING', content: id }),
    snapshot: documentOf({ sections: [], id, version }),
    personalityHash: '',
    constraintsHash: documentOf([]).hash,
    pins: [],
    editVersion: 1,
    createTime: TIME,
    createActor: 'admin',
    ...changes,
  };
}

export function changeEntry(changes: Partial<ChangeEntry> = {}): ChangeEntry {
  return {
    action: 'CREATE',
    tenant: 'default',
    entityKind: 'TEMPLATE',
    entityId: 'hello',
    beforeHash: '',
    afterHash: '',
    detail: { edit_version: 1 },
    ...changes,
  };
}

let lastId = 0;

/** A UUIDv7 of this instant; each call gives another, later ones of one instant greater. */
export function renderId(time: Date): string {
  lastId += 1;
  const milliseconds = time.getTime().toString(16).padStart(12, '0');
  const rest = lastId.toString(16).padStart(12, '0');
  return `${milliseconds.slice(0, 8)}-${milliseconds.slice(8)}-7000-8000-${rest}`;
}

export function receiptRecord(time: Date, changes: Partial<ReceiptRecord> = {}): ReceiptRecord {
  const hash = documentOf({}).hash;
  return {
    renderId: renderId(time),
    time,
    durationUs: 1234,
    requestedTenant: 'acme',
    requestedBundleId: 'welcome',
    requestedVersion: '',
    capturePolicy: 'VARIABLES',
    requestedType: '',
    tenant: 'default',
    bundleId: 'welcome',
    version: '1.0.0',
    channel: 'production',
    revision: 1,
    seq: 7,
    source: 'INHERITED',
    renderedHash: hash,
    bundleHash: hash,
    personalityHash: '',
    constraintsHash: hash,
    variablesHash: hash,
    placeholdersHash: hash,
    messagesHash: hash,
    rendererVersion: 2,
    caller: 'anonymous@loopback',
    requestId: '',
    labels: { 'a"b': "it's \\ ?" },
    traceId: '',
    ...changes,
  };
}

/** The filter that every receipt passes. */
export const ANY_RECEIPT: ReceiptFilter = {
  tenant: '',
  bundleHash: '',
  personalityHash: '',
  caller: '',
  requestId: '',
  bundleId: '',
  labels: {},
  startTime: undefined,
  endTime: undefined,
};
