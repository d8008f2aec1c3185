import assert from 'node:assert/strict';
import { readOutputCheck, writeOutputCheck } from '../../../../src/rpc/mapping/output-check.ts';
import type { OutputCheckResult } from '../../../../src/services/output-check-service.ts';
import { CheckOutputRequestSchema, CheckOutputResponseSchema } from '../../../../gen/platen/v1/render_service_pb.js';
import { overTheWire, unsetFields } from '../../../support/wire.ts';

describe('CheckOutput enforces the constraints', () => {
  it('of what the request names', () => {
    const request = { tenant: 'acme', bundleId: 'welcome', version: '1.0.0', output: 'Hi' };
    const sent = overTheWire(CheckOutputRequestSchema, request);
    assert.deepEqual(unsetFields(CheckOutputRequestSchema, sent), []);
    assert.deepEqual(readOutputCheck(sent), request);
    assert.equal(readOutputCheck(overTheWire(CheckOutputRequestSchema, {})).tenant, 'default');
  });

  it('and the answer tells every breach', () => {
    const result: OutputCheckResult = {
      passed: true,
      violations: [
        {
          constraintId: 'schema',
          severity: 'WARNING',
          message: 'must be a number',
          place: { offset: 3, length: 2, excerpt: '"a' },
          jsonPointer: '/a',
        },
      ],
      violationCount: 4,
      tenant: 'default',
      bundleHash: 'b00d1e',
      constraintsHash: 'c057',
    };
    const answer = overTheWire(CheckOutputResponseSchema, writeOutputCheck(result));
    assert.deepEqual(unsetFields(CheckOutputResponseSchema, answer), []);
    assert.deepEqual(answer, overTheWire(CheckOutputResponseSchema, { ...result, violations: answer.violations }));
    const { place, ...violation } = answer.violations[0]!;
    assert.deepEqual([violation.constraintId, violation.severity, violation.message, violation.jsonPointer], [
      'schema',
      2,
      'must be a number',
      '/a',
    ]);
    assert.deepEqual([place?.offset, place?.length, place?.excerpt], [3, 2, '"a']);
  });

  it('without a place for what is missing as a whole', () => {
    const hashes = { bundleHash: '', constraintsHash: '' };
    const missing = { constraintId: 'm', severity: 'ERROR', message: '', place: undefined, jsonPointer: '' } as const;
    const result = { passed: false, violations: [missing], violationCount: 1, tenant: '', ...hashes };
    const [violation] = overTheWire(CheckOutputResponseSchema, writeOutputCheck(result)).violations;
    assert.equal(violation!.place, undefined);
  });
});
