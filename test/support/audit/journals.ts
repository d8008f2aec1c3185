import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JournalReader } from '../../../src/audit/journal-reader.ts';
import type { JournalFailure, JournalObserver } from '../../../src/audit/journal.ts';

const ALL = 1_000_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** Directories for journals that go when the test is over. */
export function journalRoots(): () => string {
  const roots: string[] = [];
  afterEach(() => {
    for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
  });
  return () => {
    const root = mkdtempSync(join(tmpdir(), 'platen-journal-'));
    roots.push(root);
    return root;
  };
}

/** All lines of a slot that nobody writes to any more, and how many writes were torn. */
export async function readAll(directory: string): Promise<{ lines: string[]; torn: number }> {
  const reader = new JournalReader(directory);
  reader.complete();
  const lines: string[] = [];
  let torn = 0;
  for (;;) {
    const reading = await reader.read(ALL, MAX_BYTES);
    if (!reading) return { lines, torn };
    lines.push(...reading.entries.map(({ line }) => line));
    torn += reading.torn;
  }
}

export function segmentsIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.log')).toSorted();
}

/** Notes what it is told of. */
export class NotedFaults implements JournalObserver {
  readonly reasons: JournalFailure[] = [];
  recoveries = 0;
  openings = 0;

  failed(reason: JournalFailure): void {
    this.reasons.push(reason);
  }

  recovered(): void {
    this.recoveries += 1;
  }

  opened(): void {
    this.openings += 1;
  }
}
