import { mkdir, writeFile } from 'node:fs/promises';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';

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
export function writeResult(bench: string, result: Result): Promise<string> {
  return writeResultTo(join(RESULTS, `${bench}-${nameOf(result.date)}.json`), result);
}

/** @returns the path of the file: `results/<date>.json` unless one is named */
export async function writeResultTo(named: string | undefined, result: Result): Promise<string> {
  const file = named ?? join(RESULTS, `${nameOf(result.date)}.json`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(result, undefined, 2)}\n`);
  return file;
}

/** A date as part of a file's name. */
function nameOf(date: string): string {
  return date.slice(0, 19).replaceAll(':', '');
}
