import { setTimeout as sleep } from 'node:timers/promises';
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import type { MetricValues } from '../telemetry/metrics.ts';

/** How long workers may take to tell their metrics: less than scrapers wait. */
const ANSWER_MS = 3_000;

/** A worker that is asked for its metrics. */
export interface MeasuredWorker {
  readonly id: number;
  /** Settles with undefined if the worker ends first. */
  values(): Promise<MetricValues | undefined>;
}

/**
 * The metrics of all workers as one page. What a dead worker counted stays in the sums, as far as it was ever shown:
 * a sum that falls looks to Prometheus as if everything had started anew.
 */
export class WorkerMetrics {
  readonly #own = new Registry();
  readonly #shown = new Map<number, MetricValues>();
  readonly #ended = new Set<number>();
  readonly #answerMs: number;
  #gone: MetricValues = [];

  readonly #deaths = new Counter({
    name: 'platen_worker_deaths_total',
    help: 'Workers that ended before the server did.',
    registers: [this.#own],
  });
  readonly #serving = new Gauge({
    name: 'platen_workers',
    help: 'Workers that serve.',
    registers: [this.#own],
  });

  constructor(answerMs = ANSWER_MS) {
    this.#answerMs = answerMs;
  }

  /** How many workers serve now. */
  serve(count: number): void {
    this.#serving.set(count);
  }

  /** A worker ended. */
  ended(id: number): void {
    this.#deaths.inc();
    this.#ended.add(id);
    const counted = (this.#shown.get(id) ?? []).filter(({ type }) => String(type) !== 'gauge');
    this.#shown.delete(id);
    this.#gone = sum([this.#gone, counted]).getMetricsAsArray() as unknown as MetricValues;
  }

  /** @returns the page in the text format of Prometheus; undefined if a worker that lives does not answer in time */
  async page(workers: readonly MeasuredWorker[]): Promise<string | undefined> {
    const own = await this.#own.getMetricsAsJSON();
    const answers = Promise.all(workers.map(async (worker) => ({ id: worker.id, values: await worker.values() })));
    const given = new AbortController();
    const late = sleep(this.#answerMs, undefined, { signal: given.signal }).catch(() => undefined);
    const told = await Promise.race([answers, late]);
    given.abort();
    if (told === undefined) return undefined;
    for (const { id, values } of told) if (values && !this.#ended.has(id)) this.#shown.set(id, values);
    const living = told.flatMap(({ id }) => this.#shown.get(id) ?? []);
    return sum([own, living, this.#gone]).metrics();
  }
}

function sum(values: readonly MetricValues[]): Registry {
  return AggregatorRegistry.aggregate([...values]);
}
