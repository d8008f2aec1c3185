/** A histogram as Prometheus has it: how many were at most so much. */
export class Histogram {
  /** By upper bound, ascending; the last is infinite. */
  readonly #counts: ReadonlyMap<number, number>;

  constructor(counts: ReadonlyMap<number, number>) {
    this.#counts = counts;
  }

  get count(): number {
    return this.#counts.get(Infinity) ?? 0;
  }

  plus(other: Histogram): Histogram {
    return this.#combined(other, (a, b) => a + b);
  }

  minus(other: Histogram): Histogram {
    return this.#combined(other, (a, b) => a - b);
  }

  /** The upper bound of the bucket that the quantile lies in: it is at most that. */
  quantile(quantile: number): number {
    const rank = quantile * this.count;
    return [...this.#counts].find(([, count]) => count >= rank)?.[0] ?? Number.NaN;
  }

  #combined(other: Histogram, combine: (a: number, b: number) => number): Histogram {
    const counts = new Map<number, number>();
    for (const [bound, count] of this.#counts) counts.set(bound, combine(count, other.#counts.get(bound) ?? 0));
    return new Histogram(counts);
  }
}

/** A histogram of one series in a text of metrics. */
export function histogramOf(metrics: string, name: string): Histogram {
  const counts = metrics.split('\n').flatMap((line) => {
    const match = /^(\w+)_bucket\{le="([^"]+)"\} (\d+)$/.exec(line);
    if (match?.[1] !== name) return [];
    return [[match[2] === '+Inf' ? Infinity : Number(match[2]), Number(match[3])] as const];
  });
  return new Histogram(new Map(counts));
}
