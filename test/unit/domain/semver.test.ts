import assert from 'node:assert/strict';
import { checkVersion, checkVersionRange, highestMatch, isHigher } from '../../../src/domain/semver.ts';
import { refusalsOf } from '../../support/violations.ts';

function refusal(version: string): string[] {
  return refusalsOf((violations) => checkVersion(violations, 'version', version));
}

function rangeRefusal(range: string): string[] {
  return refusalsOf((violations) => checkVersionRange(violations, 'version', range));
}

describe('Semver is strict', () => {
  const accepted = [
    '0.0.0',
    '1.0.0-rc.1',
    '1.0.0--',
    '1.0.0-0a.x-99999999999999999999',
    '9007199254740991.0.0',
    `1.0.0-${'a'.repeat(58)}`,
  ];
  for (const version of accepted) {
    it(`accepts ${version}`, () => assert.deepEqual(refusal(version), []));
  }

  const malformed = ['1.0', 'v1.0.0', '=1.0.0', ' 1.0.0', '01.0.0', '1.0.0+build', '1.0.0-01', '1.0.0-', '1.0.0-a..b'];
  for (const version of [...malformed, '1.0.0\n', '１.0.0']) {
    it(`refuses ${JSON.stringify(version)}`, () => assert.deepEqual(refusal(version), ['version BAD_FORMAT']));
  }

  it('an empty version is required', () => assert.deepEqual(refusal(''), ['version REQUIRED']));

  it('a version has at most 64 characters', () => {
    assert.deepEqual(refusal(`1.0.0-${'a'.repeat(59)}`), ['version TOO_LONG']);
  });

  it('numbers are at most 2^53 - 1, in the prerelease too', () => {
    assert.deepEqual(refusal('9007199254740992.0.0'), ['version OUT_OF_RANGE']);
    assert.deepEqual(refusal('1.0.0-rc.9007199254740992'), ['version OUT_OF_RANGE']);
  });

  it('a prerelease sorts before its release', () => {
    assert.ok(isHigher('1.0.0', '1.0.0-rc.1'));
    assert.ok(isHigher('1.0.0-rc.10', '1.0.0-rc.9'));
    assert.ok(!isHigher('1.0.0', '1.0.0'));
  });

  it('no version is lower than every version', () => {
    assert.ok(isHigher('0.0.0-0', ''));
    assert.ok(!isHigher('', '0.0.0-0'));
    assert.ok(!isHigher('', ''));
  });
});

describe('Publishing pins version ranges', () => {
  for (const range of ['1.2.3', '^1.2', '~1.2.0', '>=1 <2 || 3.x', '*']) {
    it(`accepts ${range}`, () => assert.deepEqual(rangeRefusal(range), []));
  }

  it('refuses what is no range', () => {
    assert.deepEqual(rangeRefusal('latest'), ['version BAD_FORMAT']);
    assert.deepEqual(rangeRefusal(''), ['version REQUIRED']);
    assert.deepEqual(rangeRefusal('  '), ['version REQUIRED']);
    assert.deepEqual(rangeRefusal(`>=1.0.0 ${'|| 1.0.0 '.repeat(8)}`), ['version TOO_LONG']);
  });

  it('the highest version in the range, by precedence and not by age', () => {
    assert.equal(highestMatch(['1.2.0', '2.0.0', '1.10.0', '1.9.0'], '^1.2'), '1.10.0');
  });

  it('prereleases only where the range names one', () => {
    assert.equal(highestMatch(['1.2.0', '1.3.0-rc.1'], '^1.2'), '1.2.0');
    assert.equal(highestMatch(['1.2.0', '1.3.0-rc.1'], '^1.3.0-rc.0'), '1.3.0-rc.1');
  });

  it('nothing in the range', () => {
    assert.equal(highestMatch(['1.2.0'], '^3.0'), undefined);
  });
});
