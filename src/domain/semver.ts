/** Versions: strict SemVer 2.0.0 without build metadata; ranges as npm reads them. */
import semver from 'semver';
import type { Violations } from './errors.ts';
import { MAX_VERSION_CHARACTERS } from './limits.ts';

/** The grammar of semver.org without its build metadata. */
const VERSION_PATTERN = new RegExp(
  '^(?:0|[1-9]\\d*)\\.(?:0|[1-9]\\d*)\\.(?:0|[1-9]\\d*)' +
    '(?:-(?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\\.(?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?$',
);

function hasSafeNumbers(version: string): boolean {
  const identifiers = version.replace('-', '.').split('.');
  return identifiers.every((identifier) => !/^\d+$/.test(identifier) || Number.isSafeInteger(Number(identifier)));
}

function checkLength(violations: Violations, field: string, value: string): boolean {
  if (value.trim() === '') {
    violations.add(field, 'REQUIRED', 'a version is required, as 1.2.3');
    return false;
  }
  if (value.length > MAX_VERSION_CHARACTERS) {
    violations.add(field, 'TOO_LONG', `must have at most ${MAX_VERSION_CHARACTERS} characters, not ${value.length}`);
    return false;
  }
  return true;
}

/** Checks a version: strict SemVer 2.0.0, no build metadata, at most 64 characters, numbers up to 2^53 - 1. */
export function checkVersion(violations: Violations, field: string, value: string): void {
  if (!checkLength(violations, field, value)) return;
  if (!VERSION_PATTERN.test(value)) {
    violations.add(
      field,
      'BAD_FORMAT',
      'must be MAJOR.MINOR.PATCH or MAJOR.MINOR.PATCH-prerelease by SemVer 2.0.0, as 1.2.3 or 1.2.3-rc.1: ' +
        "no leading 'v', no leading zeros, no build metadata ('+...')",
    );
  } else if (!hasSafeNumbers(value)) {
    violations.add(field, 'OUT_OF_RANGE', `numbers in a version must be at most ${Number.MAX_SAFE_INTEGER}`);
  }
}

/** Checks an exact version or a range, at most 64 characters. */
export function checkVersionRange(violations: Violations, field: string, value: string): void {
  if (!checkLength(violations, field, value)) return;
  if (semver.validRange(value) === null) {
    violations.add(field, 'BAD_FORMAT', 'must be an exact version (1.2.3) or a range (^1.2, ~1.2.0, >=1.2 <3)');
  }
}

/** The highest of the versions that is in the range; prereleases only where the range names one. */
export function highestMatch(versions: readonly string[], range: string): string | undefined {
  return semver.maxSatisfying(versions, range) ?? undefined;
}

/** Whether `a` has a higher precedence than `b`; the empty string is lower than every version. */
export function isHigher(a: string, b: string): boolean {
  return a !== '' && (b === '' || semver.gt(a, b));
}
