/** Pointers that were not verified for this long make every answer STALE (spec section 4). */
const STALE_AFTER_MS = 3_000;

/** How soon after the database accepts connections everything is as before. */
export const RECOVERY_MS = 1_000;

/** One time for which the database was away; each moment in milliseconds since the epoch. */
interface Outage {
  /** Before the first of its processes was stopped. */
  readonly began: number;
  /** None of its processes runs any more. */
  away?: number;
  /** Before the first of its processes runs again. */
  returning?: number;
  /** A connection was accepted. */
  accepting?: number;
}

/** When the database was away, as seen by who takes it away. */
export class Outages {
  #last: Outage | undefined;

  begin(): void {
    this.#last = { began: Date.now() };
  }

  away(): void {
    this.#last!.away = Date.now();
  }

  returning(): void {
    this.#last!.returning = Date.now();
  }

  accepting(): void {
    this.#last!.accepting = Date.now();
  }

  /** Whether an answer that arrives now, to what was asked then, cannot have been proved by the database. */
  unproved(asked: number): boolean {
    return this.lasts(asked - STALE_AFTER_MS - 1);
  }

  /** Whether the database has been away since then, and still is. */
  lasts(since: number): boolean {
    const { away, returning } = this.#last ?? {};
    return away !== undefined && returning === undefined && since >= away;
  }

  /** Whether what was asked then and ends now may have met a database that was away, or just back. */
  met(asked: number): boolean {
    if (this.#last === undefined) return false;
    const { accepting } = this.#last;
    return accepting === undefined || asked < accepting + RECOVERY_MS;
  }
}
