/** Input that was checked, together with what is wrong with it. Plain data: it passes between threads. */
import { type Violation, Violations } from './errors.ts';

export interface Checked<T> {
  /** Normalized; undefined if there are violations. */
  readonly value: T | undefined;
  /** The first 500. */
  readonly violations: readonly Violation[];
  /** How many there are, those counted that `violations` leaves out. */
  readonly total: number;
}

/** Runs a check that adds violations. */
export function checked<T>(check: (violations: Violations) => T): Checked<T> {
  const violations = new Violations();
  const value = check(violations);
  const { list, size } = violations;
  return { value: size === 0 ? value : undefined, violations: list, total: size };
}
