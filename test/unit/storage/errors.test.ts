import assert from 'node:assert/strict';
import { NotFound, PreconditionFailed, Unavailable } from '../../../src/domain/errors.ts';
import { databaseUnavailable, domainError, driverCode, refusesValues } from '../../../src/storage/errors.ts';

describe('Overload asks for a retry', () => {
  const states = ['3D000', '08006', '53300', '57P01', '57P03', '57014', '55P03', '25P02', '25P04', '40001'];
  for (const code of [...states, 'ECONNREFUSED', 'ECONNRESET']) {
    it(`${code} of the driver is Unavailable, with its cause`, () => {
      const cause = Object.assign(new Error('driver text'), { code });
      const error = domainError(cause);
      assert.ok(error instanceof Unavailable);
      assert.equal(error.reason, 'DATABASE_UNAVAILABLE');
      assert.equal(error.retryDelayMs, 1000);
      assert.equal(error.cause, cause);
      assert.ok(!error.message.includes('driver text'));
    });
  }

  for (const message of [
    'timeout exceeded when trying to connect',
    'role "platen_server" does not exist',
    'Connection terminated unexpectedly',
    'Query read timeout',
    'Client has encountered a connection error and is not queryable',
    'Cannot use a pool after calling end on the pool',
  ]) {
    it(`"${message}" is Unavailable`, () => {
      assert.ok(domainError(new Error(message)) instanceof Unavailable);
    });
  }
});

describe('Unforeseen errors leak nothing', () => {
  it('errors of the domain and defects stay what they are', () => {
    for (const error of [new NotFound('tenant', 'x'), new TypeError('x'), 'thrown', { code: '08006' }]) {
      assert.equal(domainError(error), error);
    }
    for (const code of ['42P01', '08P01', '23505']) {
      const defect = Object.assign(new Error('relation does not exist'), { code });
      assert.equal(domainError(defect), defect);
    }
  });

  it('a code is text', () => {
    assert.equal(driverCode(Object.assign(new Error('x'), { code: 7 })), '');
    assert.equal(driverCode(undefined), '');
  });
});

describe('A published version never changes', () => {
  it('the refusal of a trigger is a failed precondition', () => {
    const cause = Object.assign(new Error('table release is append-only'), { code: 'PLT01' });
    const error = domainError(cause);
    assert.ok(error instanceof PreconditionFailed);
    assert.equal(error.reason, 'VERSION_IMMUTABLE');
    assert.equal(error.cause, cause);
  });
});

describe('A bad receipt never blocks the rest', () => {
  it('values that the database refuses are told from whatever else it says', () => {
    const said = (code: string) => Object.assign(new Error('driver text'), { code });
    for (const code of ['22P02', '22021', '23514', '54000']) assert.ok(refusesValues(said(code)), code);
    for (const code of ['42501', '57014', '08006', 'ECONNREFUSED', '220', '']) {
      assert.ok(!refusesValues(said(code)), code);
    }
    assert.ok(!refusesValues('thrown'));
    const cause = said('42501');
    assert.equal(databaseUnavailable(cause).cause, cause);
  });
});
