import { type InvalidInput, type Violation, Violations } from '../../src/domain/errors.ts';

/** The violations that a check adds, in order. */
export function violationsOf(check: (violations: Violations) => unknown): readonly Violation[] {
  const violations = new Violations();
  check(violations);
  try {
    violations.throwIfAny();
    return [];
  } catch (error) {
    return (error as InvalidInput).violations;
  }
}

/** The violations that a check adds, in order, as `field reason`. */
export function refusalsOf(check: (violations: Violations) => unknown): string[] {
  return violationsOf(check).map(({ field, reason }) => `${field} ${reason}`);
}

/** What a check returns; throws InvalidInput if it adds a violation. */
export function accepted<T>(check: (violations: Violations) => T): T {
  const violations = new Violations();
  const result = check(violations);
  violations.throwIfAny();
  return result;
}
