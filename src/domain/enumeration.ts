import type { Violations } from './errors.ts';

/** Whether the value is one of an enumeration's names; if not, a violation says which ones there are. */
export function checkName<T extends string>(
  violations: Violations,
  field: string,
  names: readonly T[],
  value: T | '',
): value is T {
  if ((names as readonly string[]).includes(value)) return true;
  violations.add(field, 'UNSPECIFIED', `must be one of ${names.join(', ')}`);
  return false;
}
