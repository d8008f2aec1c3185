import type { Row } from './row.ts';

/** A promise of throughput, and whether this run keeps it. */
export interface Bound {
  readonly scenario: string;
  /** As `p99 ≤ 2 ms`. */
  readonly what: string;
  /** null: not measured. */
  readonly value: number | null;
  /** null: not measured. */
  readonly met: boolean | null;
}

interface Promised {
  readonly scenario: string;
  readonly what: string;
  /** @param render that scenario of the same run */
  readonly value: (row: Row, render: Row | undefined) => number | null;
  readonly keeps: (value: number) => boolean;
}

const PROMISED: readonly Promised[] = [
  atLeast('render', 'ratio to the floor', 0.65, ({ ratio_to_floor }) => ratio_to_floor),
  atMost('render', 'p99', 2, ({ p99_ms }) => p99_ms),
  atMost('render', 'p99.9', 10, ({ p999_ms }) => p999_ms),
  atLeast('stream', "render's renders/s ×", 2, timesRender),
  atLeast('batch', "render's renders/s ×", 4, timesRender),
  atLeast('churn', "render's renders/s ×", 0.9, timesRender),
  atMost('l2', 'p99', 3, ({ p99_ms }) => p99_ms),
  atMost('cold', 'p99', 15, ({ p99_ms }) => p99_ms),
  atLeast('workers', "one worker's renders/s ×", 1.7, ({ ratio_to_one_worker }) => ratio_to_one_worker),
];

/** The bounds on what was run. */
export function boundsOf(rows: readonly Row[]): Bound[] {
  const render = rows.find(({ name }) => name === 'render');
  return PROMISED.flatMap(({ scenario, what, value, keeps }) => {
    const row = rows.find(({ name }) => name === scenario);
    if (row === undefined) return [];
    const found = value(row, render);
    return [{ scenario, what, value: found, met: found === null ? null : keeps(found) }];
  });
}

/** Whether every scenario that this machine can run went through without an error, and every bound on them is met. */
export function isKept(rows: readonly Row[], bounds: readonly Bound[]): boolean {
  const went = rows.every(({ failed, errors }) => failed === null && errors === 0);
  return went && bounds.every(({ met }) => met !== false);
}

function timesRender({ renders_per_s: own }: Row, render: Row | undefined): number | null {
  const other = render?.renders_per_s ?? null;
  return own === null || other === null ? null : own / other;
}

function atLeast(scenario: string, what: string, limit: number, value: Promised['value']): Promised {
  return { scenario, what: `${what} ≥ ${limit}`, value, keeps: (found) => found >= limit };
}

function atMost(scenario: string, what: string, limit: number, value: Promised['value']): Promised {
  return { scenario, what: `${what} ≤ ${limit} ms`, value, keeps: (found) => found <= limit };
}
