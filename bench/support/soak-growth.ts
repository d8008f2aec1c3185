/** A server at one moment. */
export interface Sample {
  /** Since the load began. */
  readonly second: number;
  /** Bytes of the whole process. */
  readonly resident: number;
  /** Bytes of the main thread, garbage and all, as `external`. */
  readonly heapUsed: number;
  readonly external: number;
  /** Receipts that are not in the database yet. */
  readonly journalDepth: number;
}

/** Medians of the second and of the last quarter of the time. The first quarter is warm-up. */
export interface Growth {
  readonly early: number;
  readonly late: number;
  /** Of the early one; negative if it shrank. */
  readonly share: number;
}

/**
 * Between two collections of garbage a server grows and shrinks by far more, but the median of minutes at a steady load
 * stays within 2 or 3 percent.
 */
const GROWTH_LIMIT = 0.05;

/** How a server's memory went while nothing about its load changed. */
export function growthOf(samples: readonly Sample[]): { resident: Growth; heapUsed: Growth; grows: boolean } {
  const quarter = Math.floor(samples.length / 4);
  const early = samples.slice(quarter, 2 * quarter);
  const late = samples.slice(-quarter);
  const growth = (of: (sample: Sample) => number): Growth => {
    const [before, after] = [median(early.map(of)), median(late.map(of))];
    return { early: before, late: after, share: after / before - 1 };
  };
  const resident = growth((sample) => sample.resident);
  return { resident, heapUsed: growth((sample) => sample.heapUsed), grows: resident.share > GROWTH_LIMIT };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
