import assert from 'node:assert/strict';
import { parseTenantDocument, tenantDocument } from '../../../src/domain/tenant.ts';

describe('A tenant says how long receipts are kept', () => {
  it('in its document, from which it is read again', () => {
    const { text } = tenantDocument({ parent: 'default', capturePolicy: 'FULL', receiptRetentionDays: 90 });
    assert.equal(text, '{"capture_policy":"FULL","parent":"default","receipt_retention_days":90}');
    assert.equal(parseTenantDocument(text).receiptRetentionDays, 90);
  });

  it('one that says nothing has the document, and the hash, that it always had', () => {
    const silent = tenantDocument({
      parent: 'default',
      displayName: 'Acme',
      variables: { brand: 'Acme' },
      capturePolicy: 'VARIABLES',
      receiptRetentionDays: 0,
    });
    const text = '{"capture_policy":"VARIABLES","display_name":"Acme","parent":"default","variables":{"brand":"Acme"}}';
    assert.deepEqual(silent, {
      text,
      hash: 'cc6f4122792adc9976b0fc2b17f30d4581afd8083d4b6a1988d77ca58e788075',
    });
    assert.equal(parseTenantDocument(text).receiptRetentionDays, 0);
  });
});
