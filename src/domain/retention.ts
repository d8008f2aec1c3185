import { ROOT_TENANT } from './tenant.ts';

/** A tenant, as far as its receipts are kept. */
export interface RetentionRow {
  readonly tenant: string;
  /** Empty for the root. */
  readonly parent: string;
  /** At least so many days; 0: as the parent. */
  readonly days: number;
}

const DAY_MS = 86_400_000;

/** How long the receipts of each tenant are kept at least; what a tenant does not say, its parent says. */
export class Retention {
  readonly #rows: ReadonlyMap<string, RetentionRow>;

  /** @param rows every tenant */
  constructor(rows: readonly RetentionRow[]) {
    this.#rows = new Map(rows.map((row) => [row.tenant, row]));
  }

  /** Days; 0: no bound. Somebody whom nobody knows any more, or ever knew, counts as the root. */
  days(tenant: string): number {
    let row = this.#rows.get(tenant) ?? this.#rows.get(ROOT_TENANT)!;
    while (row.days === 0 && row.parent !== '') row = this.#rows.get(row.parent)!;
    return row.days;
  }

  /**
   * Who keeps the receipts of a UTC day: of the tenants with receipts in it the one that keeps them longest; undefined:
   * none does any more.
   *
   * @param end of the day, in milliseconds since the epoch; `now` likewise
   */
  keeper(tenants: readonly string[], end: number, now: number): { tenant: string; days: number } | undefined {
    let keeper: { tenant: string; days: number } | undefined;
    for (const tenant of tenants.toSorted()) {
      const days = this.days(tenant);
      if (end + days * DAY_MS > now && !(keeper && keeper.days >= days)) keeper = { tenant, days };
    }
    return keeper;
  }
}
