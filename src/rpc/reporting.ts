import {
  Cancelled,
  DeadlineExceeded,
  DomainError,
  InvalidInput,
  Unavailable,
  type Violations,
} from '../domain/errors.ts';

/**
 * Runs a use case, and reports what its request breaks together with the violations that reading the request found.
 * Where there are such violations it never succeeds, so that a transaction around it is rolled back.
 * @throws InvalidInput with all violations, in place of any other answer that changing the request may change
 */
export async function reporting<T>(violations: Violations, work: () => Promise<T>): Promise<T> {
  if (violations.size > 0) {
    await work().catch((error: unknown) => {
      if (error instanceof InvalidInput) violations.addAll(error);
      else if (!isAboutRequest(error)) throw error;
    });
    violations.throwIfAny();
  }
  return work();
}

/** Whether it is an answer to the request; else it is a defect, or says that there is no answer now. */
function isAboutRequest(error: unknown): boolean {
  const noAnswer = [Unavailable, DeadlineExceeded, Cancelled].some((kind) => error instanceof kind);
  return error instanceof DomainError && !noAnswer;
}
