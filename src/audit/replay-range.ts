import { LRUCache } from 'lru-cache';
import { replayReceipt, replaySubject, type ReplayResult, type ReplaySubject } from '../services/replay.ts';
import type { DocumentStore } from '../services/stores.ts';
import type { ReplayDeviation, ReplayProgress } from '../services/trail-jobs.ts';
import type { ReceiptFilter, ReceiptRecord, ReceiptStore, ReceiptWithInputs } from '../services/trail.ts';

/** Where receipts, their inputs and their snapshots are. */
export interface ReplaySource {
  readonly receipts: Pick<ReceiptStore, 'count' | 'listWithInputs'>;
  readonly documents: Pick<DocumentStore, 'find'>;
}

/** Receipts of a page; the next one is read while one is replayed. */
const PAGE = 500;

/** Progress is told so often, however long a page takes. */
const PROGRESS_MS = 500;

/** The bound on what compiled snapshots take in memory, as they estimate it. */
const SUBJECT_BYTES = 64 * 1024 * 1024;

/** What a snapshot takes that is not compiled. */
const UNCOMPILED_BYTES = 256;

/** Deviations of each outcome that are told; all are counted. */
const MAX_DEVIATIONS = 1_000;

/**
 * Replays the receipts that the filter names, the earliest first, with the values that were captured. Holds two pages
 * of them at most.
 *
 * @param now milliseconds on a clock that only goes forward
 * @yields progress at least every second, and the last one at the end
 * @throws Unavailable
 */
export async function* replayRange(
  source: ReplaySource,
  filter: ReceiptFilter,
  now: () => number = () => performance.now(),
): AsyncGenerator<ReplayProgress> {
  const page = (after: string): Promise<ReceiptWithInputs[]> => source.receipts.listWithInputs(filter, after, PAGE);
  const subjects = new Subjects(source.documents);
  const tally = new Tally(now);
  tally.total = yield* patiently(source.receipts.count(filter), tally);
  for (let next: Promise<ReceiptWithInputs[]> | undefined = page(''); next; ) {
    const receipts: ReceiptWithInputs[] = yield* patiently(next, tally);
    next = receipts.length < PAGE ? undefined : page(receipts.at(-1)!.receipt.renderId);
    // Waited for only once this page is replayed, and never if the caller goes away meanwhile.
    next?.catch(() => undefined);
    for (const { receipt, inputs } of receipts) {
      const subject = subjects.held(receipt) ?? (await subjects.load(receipt));
      tally.add(receipt, replayReceipt(receipt, subject, [inputs]));
      if (tally.isDue()) yield tally.progress();
    }
  }
  yield tally.progress();
}

/** Waits, and tells the progress meanwhile. @returns what was waited for */
async function* patiently<T>(awaited: Promise<T>, tally: Tally): AsyncGenerator<ReplayProgress, T> {
  while (!(await isThereWithin(awaited, PROGRESS_MS))) yield tally.progress();
  return awaited;
}

async function isThereWithin(awaited: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: over, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([awaited.then(() => true), over]);
  } finally {
    clearTimeout(timer);
  }
}

/** The snapshots of many receipts, each loaded and compiled once as long as there is room. */
class Subjects {
  readonly #documents: ReplaySource['documents'];
  readonly #held = new LRUCache<string, ReplaySubject>({
    maxSize: SUBJECT_BYTES,
    sizeCalculation: (subject) => (typeof subject === 'string' ? UNCOMPILED_BYTES : subject.bytes),
  });

  constructor(documents: ReplaySource['documents']) {
    this.#documents = documents;
  }

  held(receipt: ReceiptRecord): ReplaySubject | undefined {
    return this.#held.get(keyOf(receipt));
  }

  async load(receipt: ReceiptRecord): Promise<ReplaySubject> {
    const subject = replaySubject(receipt, await this.#documents.find(receipt.bundleHash));
    this.#held.set(keyOf(receipt), subject);
    return subject;
  }
}

function keyOf({ rendererVersion, bundleHash }: ReceiptRecord): string {
  return `${rendererVersion} ${bundleHash}`;
}

/** Counts outcomes, and keeps the deviations that were not told yet. */
class Tally {
  total = 0;
  readonly #counts = { MATCH: 0, MISMATCH: 0, INPUT_MISSING: 0, RENDERER_UNKNOWN: 0 };
  readonly #now: () => number;
  #replayed = 0;
  #deviations: ReplayDeviation[] = [];
  #told: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#told = now();
  }

  add({ renderId, rendererVersion }: ReceiptRecord, result: ReplayResult): void {
    const { outcome, expectedHash, actualHash, missingInputs } = result;
    this.#replayed += 1;
    this.#counts[outcome] += 1;
    if (outcome === 'MATCH' || this.#counts[outcome] > MAX_DEVIATIONS) return;
    this.#deviations.push({ renderId, outcome, expectedHash, actualHash, missingInputs, rendererVersion });
  }

  /** Nothing was told for a while. */
  isDue(): boolean {
    return this.#now() - this.#told >= PROGRESS_MS;
  }

  /** With the deviations since the one before. */
  progress(): ReplayProgress {
    this.#told = this.#now();
    const deviations = this.#deviations;
    this.#deviations = [];
    const counts = this.#counts;
    return {
      // Receipts of before may arrive after they were counted.
      total: Math.max(this.total, this.#replayed),
      replayed: this.#replayed,
      matched: counts.MATCH,
      mismatched: counts.MISMATCH,
      inputMissing: counts.INPUT_MISSING,
      rendererUnknown: counts.RENDERER_UNKNOWN,
      deviations,
    };
  }
}
