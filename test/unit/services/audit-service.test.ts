import assert from 'node:assert/strict';
import { InvalidInput, NotFound } from '../../../src/domain/errors.ts';
import { snapshotDocument } from '../../../src/domain/snapshot.ts';
import { AuditService } from '../../../src/services/audit-service.ts';
import type { Stores, WriteTransaction } from '../../../src/services/stores.ts';
import type { AuditHeads, ReplayProgress, TrailJobs, VerificationProgress } from '../../../src/services/trail-jobs.ts';
import type {
  CapturedInputs,
  ChangeEntry,
  ChangeRecord,
  ErasureFilter,
  ReceiptRecord,
} from '../../../src/services/trail.ts';
import { compiled, declaration, snapshot } from '../../support/drafts.ts';
import { partOf } from '../../support/handler-call.ts';
import { rendered } from '../../support/replays.ts';
import { ANY_RECEIPT } from '../../support/storage/records.ts';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');
const DRAFT = { sections: [{ template: { templateId: 'hello', version: '1.0.0' }, role: 'SYSTEM' as const }] };
const TEMPLATES = { hello: { content: 'Hello {name}', variables: [declaration()] } };
const DOCUMENT = snapshotDocument(snapshot(DRAFT, TEMPLATES));
const HELLO = compiled(DRAFT, TEMPLATES);
const NO_SIGNAL = new AbortController().signal;
const NO_ID = '00000000-0000-7000-8000-000000000000';

const ERASURE: ErasureFilter = { tenant: '', caller: '', labels: {}, startTime: undefined, endTime: undefined };
const PROGRESS = { total: 1, replayed: 1 } as ReplayProgress;
const VERIFIED = { part: 'RECEIPTS', verified: 1, total: 1 } as VerificationProgress;

/** The service over one receipt, with a log of what it does. */
function serviceOf(receipt: ReceiptRecord, inputs?: CapturedInputs) {
  const steps: unknown[] = [];
  const chained = { ...receipt, receiptHash: 'a'.repeat(64), batch: 1 };
  const change = { seq: 7, beforeHash: '', afterHash: DOCUMENT.hash } as ChangeRecord;
  const stores = partOf<Stores>({
    receipts: partOf<Stores['receipts']>({
      find: async (renderId) => {
        steps.push('find');
        return renderId === receipt.renderId ? chained : undefined;
      },
      findInputs: async () => inputs,
      list: async (...asked) => {
        steps.push(asked);
        return [chained];
      },
    }),
    changes: partOf<Stores['changes']>({
      find: async (seq) => (seq === 7 ? change : undefined),
      list: async () => [change],
    }),
    documents: partOf<Stores['documents']>({
      find: async (hash) => (hash === DOCUMENT.hash ? DOCUMENT.text : undefined),
    }),
  });
  const jobs: TrailJobs = {
    replay: async function* (filter) {
      steps.push(filter);
      yield PROGRESS;
    },
    verify: async function* (checkpoint) {
      steps.push(checkpoint);
      yield VERIFIED;
    },
  };
  const underWay = {
    settled: async (until: number) => {
      steps.push(`settled until ${until - NOW}`);
    },
  };
  return { service: new AuditService({ stores, underWay, jobs, now: () => NOW }), steps, chained, change };
}

/** A transaction that erases 3, and keeps what it was told. */
class ErasingTransaction {
  readonly steps: unknown[] = [];
  readonly tx = partOf<WriteTransaction>({
    eraseInputs: async (filter, before) => {
      this.steps.push(['erase', filter, before.toISOString()]);
      return 3;
    },
    appendChange: async (entry) => {
      this.steps.push(['change', entry]);
      return 9;
    },
    insertErasure: async (seq, filter, before) => {
      this.steps.push(['erasure', seq, filter, before.toISOString()]);
    },
  });

  get change(): ChangeEntry {
    return (this.steps[1] as [string, ChangeEntry])[1];
  }
}

async function all<T>(told: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of told) items.push(item);
  return items;
}

describe('Readers find the receipts of the replica that they ask', () => {
  const { receipt, inputs } = rendered(HELLO, { name: 'Ada' });

  it('whoever reads one waits, at most 2 s, for those under way', async () => {
    const { service, steps, chained } = serviceOf(receipt, inputs);
    assert.deepEqual(await service.getReceipt(receipt.renderId), { receipt: chained, inputs });
    assert.deepEqual(steps, ['settled until 2000', 'find']);
  });

  it('so does whoever lists, replays many, or verifies', async () => {
    const { service, steps, chained } = serviceOf(receipt, inputs);
    assert.deepEqual(await service.listReceipts(ANY_RECEIPT, 'before', 5), [chained]);
    assert.deepEqual(steps, ['settled until 2000', [ANY_RECEIPT, 'before', 5]]);
    const heads: AuditHeads = { changeSeq: 1, changeHash: 'a', batch: 0, batchHash: 'b' };
    assert.deepEqual(await all(service.verify(heads, NO_SIGNAL)), [VERIFIED]);
    assert.deepEqual(steps.slice(2), ['settled until 2000', heads]);
    assert.deepEqual(await all(service.replayAll(ANY_RECEIPT, NO_SIGNAL)), [PROGRESS]);
    assert.deepEqual(steps.slice(4), ['settled until 2000', { ...ANY_RECEIPT, endTime: new Date(NOW) }]);
  });

  it('what cannot be an id is not looked for', async () => {
    const { service, steps } = serviceOf(receipt);
    await assert.rejects(service.getReceipt('1'), NotFound);
    assert.deepEqual(steps, []);
    await assert.rejects(service.getReceipt(NO_ID), NotFound);
  });
});

describe('Ranges of receipts are replayed', () => {
  it('up to the end that was asked for', async () => {
    const { service, steps } = serviceOf(rendered(HELLO, {}).receipt);
    const filter = { ...ANY_RECEIPT, endTime: new Date(NOW + 1) };
    await all(service.replayAll(filter, NO_SIGNAL));
    assert.deepEqual(steps.at(-1), filter);
  });
});

describe('Replay tells match from mismatch', () => {
  const { receipt, inputs } = rendered(HELLO, { name: 'Ada' });

  it('with the values that were captured, or else those supplied', async () => {
    const captured = serviceOf(receipt, inputs).service;
    assert.equal((await captured.replay(receipt.renderId, undefined)).outcome, 'MATCH');
    const erased = serviceOf(receipt).service;
    assert.equal((await erased.replay(receipt.renderId, undefined)).outcome, 'INPUT_MISSING');
    assert.equal((await erased.replay(receipt.renderId, { variables: { name: 'Ada' } })).outcome, 'MATCH');
    assert.equal((await erased.replay(receipt.renderId, { variables: { name: 'Eve' } })).outcome, 'INPUT_MISSING');
  });

  it('a receipt that is not there cannot be replayed', async () => {
    await assert.rejects(serviceOf(receipt).service.replay(NO_ID, undefined), NotFound);
  });
});

describe('A change tells who, what and when', () => {
  const { service, change } = serviceOf(rendered(HELLO, {}).receipt);

  it('with the documents before and after it', async () => {
    assert.deepEqual(await service.getChange(7), { change, beforeJson: '', afterJson: DOCUMENT.text });
    await assert.rejects(service.getChange(8), NotFound);
  });

  it('in a list', async () => {
    const filter = { tenant: '', entityKind: undefined, entityId: '', action: undefined, actor: '' };
    const times = { hash: '', startTime: undefined, endTime: undefined };
    assert.deepEqual(await service.listChanges({ ...filter, ...times }, 0, 5), [change]);
  });
});

describe('An erasure is a change and reaches receipts under way', () => {
  const { service } = serviceOf(rendered(HELLO, {}).receipt);

  it('values are erased, the change says of whom and how many, and what is still to come is named', async () => {
    const transaction = new ErasingTransaction();
    const startTime = new Date(NOW - 1_000);
    const filter = { ...ERASURE, tenant: 'acme', caller: 'key:1', labels: { user: '42' }, startTime };
    assert.deepEqual(await service.eraseInputs(transaction.tx, filter), { erased: 3, seq: 9 });
    const now = new Date(NOW).toISOString();
    assert.deepEqual(transaction.steps, [
      ['erase', filter, now],
      [
        'change',
        {
          action: 'ERASE',
          tenant: 'acme',
          entityKind: 'RECEIPT',
          entityId: '',
          beforeHash: '',
          afterHash: '',
          detail: {
            tenant: 'acme',
            caller: 'key:1',
            labels: { user: '42' },
            from: '2026-03-01T11:59:59.000Z',
            before: now,
            erased: 3,
          },
        },
      ],
      ['erasure', 9, filter, now],
    ]);
  });

  it('those of renders to come are not erased', async () => {
    const earlier = new ErasingTransaction();
    await service.eraseInputs(earlier.tx, { ...ERASURE, endTime: new Date(NOW - 1) });
    assert.deepEqual(earlier.change.detail, { before: new Date(NOW - 1).toISOString(), erased: 3 });
    assert.equal(earlier.change.tenant, 'default');
    const later = new ErasingTransaction();
    await service.eraseInputs(later.tx, { ...ERASURE, endTime: new Date(NOW + 1) });
    assert.deepEqual(later.change.detail, { before: new Date(NOW).toISOString(), erased: 3 });
  });

  for (const filter of [
    { caller: 'key:1' },
    { labels: { user: '42' } },
    { startTime: new Date(NOW) },
    { endTime: new Date(NOW) },
  ]) {
    it(`by ${Object.keys(filter).join()} alone`, async () => {
      const { tx } = new ErasingTransaction();
      assert.deepEqual(await service.eraseInputs(tx, { ...ERASURE, ...filter }), { erased: 3, seq: 9 });
    });
  }

  it('a filter that is longer than what it is compared with is refused, since the log would keep it for ever', async () => {
    const { tx, steps } = new ErasingTransaction();
    const labels = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`label${i}`, '']));
    const filter = { ...ERASURE, tenant: 'a'.repeat(129), caller: 'c'.repeat(257), labels };
    await assert.rejects(service.eraseInputs(tx, filter), (error: InvalidInput) => {
      const fields = error.violations.map(({ field, reason }) => `${field} ${reason}`);
      assert.deepEqual(fields, ['tenant TOO_LONG', 'caller TOO_LONG', 'labels TOO_MANY']);
      return true;
    });
    assert.deepEqual(steps, []);
  });

  it('all of a tenant at once is refused', async () => {
    const { tx, steps } = new ErasingTransaction();
    await assert.rejects(service.eraseInputs(tx, { ...ERASURE, tenant: 'acme' }), InvalidInput);
    assert.deepEqual(steps, []);
  });
});
