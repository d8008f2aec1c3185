import type { Metric, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** Takes the values of one series. */
export type Observe = (value: number) => void;

export interface SeriesHistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[];
  readonly registers: readonly Registry[];
}

/**
 * A histogram for what happens thousands of times a second: whoever observes asks once for the series of its labels.
 * prom-client looks for the series at every value, which takes longer than some renders do. On the page both are alike.
 */
export class SeriesHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor({ name, help, buckets, registers }: SeriesHistogramOptions) {
    this.name = name;
    this.help = help;
    this.#bounds = buckets;
    // All that a registry asks of a metric is its name and `get`.
    for (const registry of registers) registry.registerMetric(this as unknown as Metric);
  }

  /** The series of these labels, the same one however often it is asked for. */
  series(labels: Labels = {}): Observe {
    const key = JSON.stringify(labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = new Series(labels, this.#bounds);
      this.#series.set(key, series);
    }
    return series.observe;
  }

  /** What a registry shows. */
  get() {
    const { name, help, type, aggregator } = this;
    const shown = [...this.#series.values()].filter(({ isShown }) => isShown);
    const values = shown.flatMap((series) => series.values(name));
    return Promise.resolve({ name, help, type, aggregator, values });
  }
}

class Series {
  readonly #labels: Labels;
  readonly #bounds: readonly number[];
  /** By bucket, the last one without a bound; not cumulative. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** One with labels once it has a value, as prom-client does. */
  get isShown(): boolean {
    return Object.keys(this.#labels).length === 0 || this.#counts.some((count) => count > 0);
  }

  readonly observe: Observe = (value) => {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
    this.#sum += value;
  };

  values(name: string) {
    const labels = this.#labels;
    let count = 0;
    const buckets = [...this.#bounds, '+Inf'].map((le, bucket) => {
      count += this.#counts[bucket]!;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
