import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from 'hdr-histogram-js';
import type { Latencies } from './load.ts';

/** What a generator process saw, as it tells its parent. */
export interface TallyReport {
  readonly calls: number;
  readonly errors: number;
  readonly unanswered: number;
  readonly late: number;
  readonly seconds: number;
  /** Compressed, in base64. */
  readonly histogram: string;
}

/** Counts what became of calls, and how long each took: in microseconds, to three digits. */
export class Tally {
  #calls = 0;
  #errors = 0;
  #unanswered = 0;
  #late = 0;
  #seconds = 0;
  readonly #histogram: Histogram = build({ numberOfSignificantValueDigits: 3, autoResize: true });

  get calls(): number {
    return this.#calls;
  }

  get errors(): number {
    return this.#errors;
  }

  /** Those of the errors that were given up, not refused. */
  get unanswered(): number {
    return this.#unanswered;
  }

  get late(): number {
    return this.#late;
  }

  get seconds(): number {
    return this.#seconds;
  }

  count(isAnswered: boolean): void {
    if (isAnswered) this.#calls += 1;
    else this.#errors += 1;
  }

  /** An error has one as well: it would flatter the others to leave out those that took long to fail. */
  record(milliseconds: number): void {
    this.#histogram.recordValue(Math.round(milliseconds * 1000));
  }

  countUnanswered(): void {
    this.#unanswered += 1;
  }

  countLate(): void {
    this.#late += 1;
  }

  report(seconds: number): TallyReport {
    const histogram = encodeIntoCompressedBase64(this.#histogram);
    return { calls: this.#calls, errors: this.#errors, unanswered: this.#unanswered, late: this.#late, seconds, histogram };
  }

  /** Adds what a process saw at the same time. */
  add(report: TallyReport): void {
    this.#calls += report.calls;
    this.#errors += report.errors;
    this.#unanswered += report.unanswered;
    this.#late += report.late;
    this.#seconds = Math.max(this.#seconds, report.seconds);
    this.#histogram.add(decodeFromCompressedBase64(report.histogram));
  }

  latencies(): Latencies {
    const at = (percentile: number): number => this.#histogram.getValueAtPercentile(percentile) / 1000;
    return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: this.#histogram.maxValue / 1000 };
  }
}
