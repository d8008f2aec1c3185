import { InvalidInput, type Violations } from '../domain/errors.ts';

/**
 * Runs a use case, and reports what its request breaks together with the violations that reading the request found.
 * Where there are such violations it never succeeds, so that a transaction around it is rolled back.
 * @throws InvalidInput with all violations
 */
export async function reporting<T>(violations: Violations, work: () => Promise<T>): Promise<T> {
  if (violations.size > 0) {
    await work().catch((error: unknown) => addAll(violations, error));
    violations.throwIfAny();
  }
  return work();
}

function addAll(violations: Violations, error: unknown): void {
  const found = error instanceof InvalidInput ? error.violations : [];
  for (const { field, reason, description } of found) violations.add(field, reason, description);
}
