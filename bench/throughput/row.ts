import type { Latencies } from '../load/load.ts';

/** What a scenario came to, named as in the result file. null: has no meaning there, or was not measured. */
export interface Row {
  readonly name: string;
  /** In a closed loop: as many as there are. */
  readonly calls_per_s: number | null;
  readonly renders_per_s: number | null;
  /** Microseconds of the thread that answers requests, per call. */
  readonly thread_cpu_us: number | null;
  /** Microseconds of the whole server, per call, until the last receipt is in the database. */
  readonly process_cpu_us: number | null;
  /** The floor's `thread_cpu_us` by this one's per render, or per call where a call renders nothing. */
  readonly ratio_to_floor: number | null;
  /** At half of the rate of the closed loop. */
  readonly p50_ms: number | null;
  readonly p90_ms: number | null;
  readonly p99_ms: number | null;
  readonly p999_ms: number | null;
  readonly errors: number;
  readonly renders_per_call: number;
  readonly connections: number | null;
  /** Of each connection in the closed loop. */
  readonly in_flight: number | null;
  readonly generator: string | null;
  /** Calls a second that the latencies were measured at. */
  readonly latency_rate: number | null;
  /** Sends that the generator itself began more than 1 ms late. */
  readonly late_sends: number | null;
  /** Renders a second of two workers by those of one. */
  readonly ratio_to_one_worker: number | null;
  readonly notes: readonly string[];
  /** Why there is nothing: this machine does not have what it takes. */
  readonly not_measured: string | null;
  /** Why there is nothing: it went wrong. */
  readonly failed: string | null;
}

const NOTHING: Omit<Row, 'name'> = {
  calls_per_s: null,
  renders_per_s: null,
  thread_cpu_us: null,
  process_cpu_us: null,
  ratio_to_floor: null,
  p50_ms: null,
  p90_ms: null,
  p99_ms: null,
  p999_ms: null,
  errors: 0,
  renders_per_call: 0,
  connections: null,
  in_flight: null,
  generator: null,
  latency_rate: null,
  late_sends: null,
  ratio_to_one_worker: null,
  notes: [],
  not_measured: null,
  failed: null,
};

/** A row of what is known. */
export function rowOf(name: string, known: Partial<Omit<Row, 'name'>>): Row {
  return { name, ...NOTHING, ...known };
}

export function latencyFields({ p50, p90, p99, p999 }: Omit<Latencies, 'max'>) {
  return { p50_ms: p50, p90_ms: p90, p99_ms: p99, p999_ms: p999 };
}

/** Two rows of one scenario as one: the mean of what the closed loops came to, and the latencies of the first. */
export function meanOf(first: Row, second: Row): Row {
  const mean = (a: number | null, b: number | null): number | null => (a === null || b === null ? a : (a + b) / 2);
  return {
    ...first,
    calls_per_s: mean(first.calls_per_s, second.calls_per_s),
    thread_cpu_us: mean(first.thread_cpu_us, second.thread_cpu_us),
    process_cpu_us: mean(first.process_cpu_us, second.process_cpu_us),
    errors: first.errors + second.errors,
    notes: [...first.notes, ...second.notes],
    failed: first.failed ?? second.failed,
  };
}

/** Microseconds of the request thread per render, or per call where a call renders nothing. */
export function threadUsPerRender({ thread_cpu_us: perCall, renders_per_call: renders }: Row): number | null {
  return perCall === null ? null : perCall / Math.max(1, renders);
}

/** The rows, each with its ratio to the floor if both are known. */
export function withRatios(rows: readonly Row[]): Row[] {
  const floor = rows.find(({ name }) => name === 'floor')?.thread_cpu_us ?? null;
  return rows.map((row) => {
    const own = threadUsPerRender(row);
    return { ...row, ratio_to_floor: floor === null || own === null ? null : floor / own };
  });
}
