import assert from 'node:assert/strict';
import { replayRange, type ReplaySource } from '../../../src/audit/replay-range.ts';
import { compileBundle, type CompiledBundle } from '../../../src/domain/assembly.ts';
import type { Document } from '../../../src/domain/document.ts';
import { snapshotDocument } from '../../../src/domain/snapshot.ts';
import type { ReplayProgress } from '../../../src/services/trail-jobs.ts';
import type { CapturedInputs, ReceiptFilter, ReceiptRecord } from '../../../src/services/trail.ts';
import { declaration, snapshot } from '../../support/drafts.ts';
import { fellBack, rendered } from '../../support/replays.ts';

const FILTER: ReceiptFilter = {
  tenant: 'acme',
  bundleHash: '',
  personalityHash: '',
  caller: '',
  requestId: '',
  bundleId: '',
  labels: {},
  startTime: undefined,
  endTime: undefined,
};

interface Kept {
  readonly receipt: ReceiptRecord;
  readonly inputs: CapturedInputs | undefined;
}

/** A prompt that greets in its own way. */
function prompt(greeting: string): { document: Document; bundle: CompiledBundle } {
  const sections = [{ template: { templateId: 'hello', version: '1.0.0' }, role: 'SYSTEM' as const }];
  const templates = { hello: { content: `${greeting} {name}`, variables: [declaration()] } };
  const document = snapshotDocument(snapshot({ sections }, templates));
  return { document, bundle: compileBundle(document) };
}

const HELLO = prompt('Hello');
const BYE = prompt('Goodbye');

/** Renders of it, which all match. */
function renders(count: number, { bundle } = HELLO): Kept[] {
  return Array.from({ length: count }, (_, n) => rendered(bundle, { name: `guest ${n}` }));
}

/** A store of these receipts, in this order, that counts what it is asked for. */
class FakeSource implements ReplaySource {
  readonly asked: { filter: ReceiptFilter; after: string; limit: number }[] = [];
  readonly found: string[] = [];
  readonly #kept: readonly Kept[];
  readonly #total: number;

  constructor(kept: readonly Kept[], total = kept.length) {
    this.#kept = kept;
    this.#total = total;
  }

  readonly receipts: ReplaySource['receipts'] = {
    count: async () => this.#total,
    listWithInputs: async (filter, after, limit) => {
      this.asked.push({ filter, after, limit });
      const start = this.#kept.findIndex(({ receipt }) => receipt.renderId === after) + 1;
      const page = this.#kept.slice(start, start + limit);
      return page.map(({ receipt, inputs }) => ({ receipt: { ...receipt, receiptHash: '', batch: 1 }, inputs }));
    },
  };

  readonly documents: ReplaySource['documents'] = {
    find: async (hash) => {
      this.found.push(hash);
      return [HELLO, BYE].find(({ document }) => document.hash === hash)?.document.text;
    },
  };
}

async function range(source: ReplaySource, now?: () => number): Promise<ReplayProgress[]> {
  const told: ReplayProgress[] = [];
  for await (const progress of replayRange(source, FILTER, now)) told.push(progress);
  return told;
}

describe('Ranges of receipts are replayed', () => {
  it('all of them, page by page, each once', async () => {
    const source = new FakeSource(renders(1_001));
    const [only, ...more] = await range(source, () => 0);
    assert.deepEqual(only, {
      total: 1_001,
      replayed: 1_001,
      matched: 1_001,
      mismatched: 0,
      inputMissing: 0,
      rendererUnknown: 0,
      deviations: [],
    });
    assert.deepEqual(more, []);
    assert.equal(source.asked.length, 3);
    assert.ok(source.asked.every(({ filter }) => filter === FILTER));
  });

  it('none is a range as well', async () => {
    assert.deepEqual((await range(new FakeSource([]))).map(({ total, replayed }) => [total, replayed]), [[0, 0]]);
  });

  it('a page that is full may be the last one', async () => {
    const [last] = (await range(new FakeSource(renders(500)))).slice(-1);
    assert.equal(last?.matched, 500);
  });

  it('each snapshot is read once', async () => {
    const kept = renders(300).flatMap((each, n) => [each, renders(n + 1, BYE)[n]!]);
    const source = new FakeSource(kept);
    const last = (await range(source)).at(-1);
    assert.equal(last?.matched, 600);
    assert.deepEqual(source.found, [HELLO.document.hash, BYE.document.hash]);
  });

  it('those that deviate are named, once, with what is known of them', async () => {
    const [match, other, erased, later] = renders(4) as [Kept, Kept, Kept, Kept];
    const text = fellBack('Soon.');
    const lost = { ...match, receipt: { ...match.receipt, renderId: 'lost', bundleHash: 'f'.repeat(64) } };
    const mismatch = { ...other, receipt: { ...other.receipt, renderedHash: 'e'.repeat(64) } };
    const unknown = { ...later, receipt: { ...later.receipt, rendererVersion: 99 } };
    const kept = [match, mismatch, { ...erased, inputs: undefined }, unknown, text, lost];
    const progress = await range(new FakeSource(kept));
    assert.deepEqual(progress.flatMap(({ deviations }) => deviations), [
      {
        renderId: mismatch.receipt.renderId,
        outcome: 'MISMATCH',
        expectedHash: 'e'.repeat(64),
        actualHash: other.receipt.renderedHash,
        missingInputs: [],
        rendererVersion: 2,
      },
      {
        renderId: erased.receipt.renderId,
        outcome: 'INPUT_MISSING',
        expectedHash: erased.receipt.renderedHash,
        actualHash: '',
        missingInputs: ['variables'],
        rendererVersion: 2,
      },
      {
        renderId: later.receipt.renderId,
        outcome: 'RENDERER_UNKNOWN',
        expectedHash: later.receipt.renderedHash,
        actualHash: '',
        missingInputs: [],
        rendererVersion: 99,
      },
      {
        renderId: 'lost',
        outcome: 'INPUT_MISSING',
        expectedHash: match.receipt.renderedHash,
        actualHash: '',
        missingInputs: ['snapshot'],
        rendererVersion: 2,
      },
    ]);
    const { total, matched, mismatched, inputMissing, rendererUnknown } = progress.at(-1)!;
    assert.deepEqual([total, matched, mismatched, inputMissing, rendererUnknown], [6, 2, 1, 2, 1]);
  });

  it('of each outcome the first 1,000 are named, and all are counted', async () => {
    const erased = renders(1_200).map(({ receipt }) => ({ receipt, inputs: undefined }));
    const unknown = renders(2).map(({ receipt, inputs }) => ({ receipt: { ...receipt, rendererVersion: 99 }, inputs }));
    const progress = await range(new FakeSource([...erased, ...unknown]));
    const named = progress.flatMap(({ deviations }) => deviations);
    assert.equal(named.filter(({ outcome }) => outcome === 'INPUT_MISSING').length, 1_000);
    assert.equal(named.filter(({ outcome }) => outcome === 'RENDERER_UNKNOWN').length, 2);
    assert.equal(progress.at(-1)?.inputMissing, 1_200);
  });

  it('its progress is told as time goes by, deviations with the next one', async () => {
    const erased = renders(4).map(({ receipt }) => ({ receipt, inputs: undefined }));
    let time = 0;
    const progress = await range(new FakeSource(erased), () => (time += 300));
    assert.deepEqual(
      progress.map(({ replayed, deviations }) => [replayed, deviations.length]),
      [
        [2, 2],
        [4, 2],
        [4, 0],
      ],
    );
  });

  it('also while the database takes its time', async () => {
    const source = new FakeSource(renders(1));
    const { promise: counted, resolve: count } = Promise.withResolvers<number>();
    const { promise: read, resolve: answer } = Promise.withResolvers<void>();
    const slow: ReplaySource = {
      documents: source.documents,
      receipts: {
        count: () => counted,
        listWithInputs: async (...asked) => {
          await read;
          return source.receipts.listWithInputs(...asked);
        },
      },
    };
    const running = replayRange(slow, FILTER);
    assert.deepEqual((await running.next()).value?.total, 0);
    count(1);
    assert.deepEqual((await running.next()).value?.total, 1);
    answer();
    assert.equal((await running.next()).value?.matched, 1);
    assert.equal((await running.next()).done, true);
  });

  it('receipts that arrive meanwhile do not make more of it than there is', async () => {
    const last = (await range(new FakeSource(renders(3), 2))).at(-1);
    assert.deepEqual([last?.total, last?.replayed], [3, 3]);
  });

  it('it ends with the failure of a page, also of one that is read ahead', async () => {
    const source = new FakeSource(renders(500));
    const broken: ReplaySource = {
      documents: source.documents,
      receipts: {
        count: source.receipts.count,
        listWithInputs: (filter, after, limit) => {
          if (after !== '') return Promise.reject(new Error('the database went away'));
          return source.receipts.listWithInputs(filter, after, limit);
        },
      },
    };
    await assert.rejects(range(broken), /went away/);
  });

  it('a caller who goes away leaves nothing behind', async () => {
    let time = 0;
    const running = replayRange(new FakeSource(renders(600)), FILTER, () => (time += 600));
    assert.equal((await running.next()).value?.replayed, 1);
    assert.equal((await running.return(undefined)).done, true);
  });
});
