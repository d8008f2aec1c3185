/** Lets a test and a task in another thread wait for each other. */
export type Gate = Int32Array<SharedArrayBuffer>;

const ENTERED = 0;
const OPEN = 1;

export function closedGate(): Gate {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
}

/** For the task: tells that it runs. */
export function enter(gate: Gate): void {
  Atomics.store(gate, ENTERED, 1);
}

/** For the task: waits until the test opens the gate. */
export function waitUntilOpen(gate: Gate): void {
  Atomics.wait(gate, OPEN, 0);
}

/** For the test: whether a task has told that it runs. */
export function entered(gate: Gate): boolean {
  return Atomics.load(gate, ENTERED) === 1;
}

/** For the test: lets the task go on. */
export function open(gate: Gate): void {
  Atomics.store(gate, OPEN, 1);
  Atomics.notify(gate, OPEN);
}
