import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { GetTenantResponseSchema } from '../../../gen/platen/v1/tenant_service_pb.js';
import { fields, json, table, time, unifiedDiff, warningLines } from '../../../src/cli/output.ts';
import { WarningSchema, type WarningCode } from '../../../gen/platen/v1/resources_pb.js';

describe('Every command speaks JSON: what is printed', () => {
  it('a table has aligned columns and no trailing spaces', () => {
    const rows = [
      ['acme', 7, true],
      ['solea-travel', 12n, ''],
    ];
    assert.equal(
      table(['TENANT', 'N', 'X'], rows),
      `TENANT        N   X
acme          7   true
solea-travel  12
`,
    );
  });

  it('counts code points, so that letters outside the basic plane do not shift a column', () => {
    assert.equal(table(['A', 'B'], [['𝒳𝒳', 'b']]), 'A   B\n𝒳𝒳  b\n');
  });

  it('an empty table says so', () => {
    assert.equal(table(['TENANT'], []), 'none\n');
  });

  it('control characters neither break a row nor reach the terminal', () => {
    assert.equal(table(['A', 'B'], [['one\r\ntwo\u001b[31m', 'b']]), 'A             B\none two [31m  b\n');
  });

  it('fields leave out what is empty', () => {
    assert.equal(fields([['a', 'x'], ['long', ''], ['b', 0]]), 'a  x\nb  0\n');
  });

  it('JSON is that of protobuf', () => {
    const response = create(GetTenantResponseSchema, { tenant: { tenant: 'acme', displayName: 'Acme' } });
    assert.deepEqual(JSON.parse(json(GetTenantResponseSchema, response)), {
      tenant: { tenant: 'acme', displayName: 'Acme' },
    });
    assert.ok(json(GetTenantResponseSchema, response).endsWith('}\n'));
  });

  it('times are ISO 8601 in UTC', () => {
    assert.equal(time(timestampFromDate(new Date('2026-01-31T09:00:00.120+01:00'))), '2026-01-31T08:00:00.120Z');
    assert.equal(time(undefined), '');
  });

  it('warnings are a line each, also those of a newer server', () => {
    const warnings = [
      create(WarningSchema, { code: 3, subject: 'mood', message: 'is not used' }),
      create(WarningSchema, { code: 99 as WarningCode, subject: 'x', message: 'y' }),
    ];
    assert.equal(warningLines(warnings), 'warning: VARIABLE_UNUSED mood: is not used\nwarning: 99 x: y\n');
  });

  it('a difference is that of diff -u', () => {
    assert.equal(
      unifiedDiff('before', 'a\nb\n', 'after', 'a\nc\n'),
      '--- before\n+++ after\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n',
    );
  });
});
