import { setTimeout as delay } from 'node:timers/promises';

const INTERVAL_MS = 10;
const LIMIT_MS = 15_000;

/** Waits for a condition. @throws Error if it does not hold in 15 s, so that nothing is asked for ever */
export async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await delay(INTERVAL_MS);
  }
}
