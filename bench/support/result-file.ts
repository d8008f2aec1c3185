import { mkdir, writeFile } from 'node:fs/promises';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';

const RESULTS = join(import.meta.dirname, '..', 'results');

/** What a figure was measured on: a machine, as busy as it is now, and a moment. */
export function circumstances() {
  return {
    date: new Date().toISOString(),
    machine: {
      processor: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      system: `${platform()} ${release()} ${arch()}`,
      node: process.version,
      loadBefore: loadavg().map((load) => Math.round(load * 100) / 100),
    },
  };
}

interface Result {
  readonly date: string;
  readonly [figure: string]: unknown;
}

/** @returns the path of the file, `results/<bench>-<date>.json` */
export async function writeResult(bench: string, result: Result): Promise<string> {
  await mkdir(RESULTS, { recursive: true });
  const file = join(RESULTS, `${bench}-${result.date.slice(0, 19).replaceAll(':', '')}.json`);
  await writeFile(file, `${JSON.stringify(result, undefined, 2)}\n`);
  return file;
}
