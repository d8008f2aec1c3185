/** Tells one thread when another began a task, without a message: a thread that is busy reads none. */

/** Shared between the threads. */
export type StartMark = BigInt64Array<SharedArrayBuffer>;

/** The clock that all threads of the process read alike; it never goes back. In milliseconds. */
export function processClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A mark of a task that has not begun. */
export function startMark(): StartMark {
  return new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT));
}

/** Notes that the task begins now. */
export function markStart(mark: StartMark): void {
  Atomics.store(mark, 0, process.hrtime.bigint());
}

/** When the task began, by processClock; undefined: it has not. */
export function startedAt(mark: StartMark): number | undefined {
  const nanoseconds = Atomics.load(mark, 0);
  return nanoseconds === 0n ? undefined : Number(nanoseconds) / 1e6;
}
