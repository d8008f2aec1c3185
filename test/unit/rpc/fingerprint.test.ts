import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { fingerprint } from '../../../src/rpc/fingerprint.ts';
import { valueOf } from '../../../src/rpc/mapping/struct.ts';
import { CreateTenantRequestSchema } from '../../../gen/platen/v1/tenant_service_pb.js';

const of = (request: Parameters<typeof create<typeof CreateTenantRequestSchema>>[1]): string =>
  fingerprint(CreateTenantRequestSchema, create(CreateTenantRequestSchema, request));

describe('A request id with other content is refused', () => {
  it('equal content has an equal fingerprint, whatever the order of its maps', () => {
    const one = of({ tenant: 'acme', variables: { a: valueOf(1), b: valueOf({ c: 1, d: 2 }) } });
    const other = of({ tenant: 'acme', variables: { b: valueOf({ d: 2, c: 1 }), a: valueOf(1) } });
    assert.match(one, /^[0-9a-f]{64}$/);
    assert.equal(one, other);
  });

  it('other content has another one', () => {
    assert.notEqual(of({ tenant: 'acme' }), of({ tenant: 'acme', parent: 'brands' }));
  });

  it('what ProtoJSON cannot write has one too', () => {
    const kindless = of({ tenant: 'acme', variables: { a: {} } });
    assert.equal(kindless, of({ tenant: 'acme', variables: { a: {} } }));
    assert.notEqual(kindless, of({ tenant: 'acme', variables: { b: {} } }));
    assert.match(of({ variables: { a: valueOf(Number.NaN) } }), /^[0-9a-f]{64}$/);
  });
});
