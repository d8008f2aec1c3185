import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { batchHash, batchRoot, CHAIN_ORIGIN, changeHash, receiptHash } from '../../../src/audit/hash-chain.ts';
import { changeEntry, receiptRecord } from '../../support/storage/records.ts';

const TIME = new Date('2026-03-01T12:00:00.120Z');

const AFTER = 'a'.repeat(64);

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

describe('The change chain can be recomputed', () => {
  const change = { ...changeEntry(), afterHash: AFTER, seq: 1, time: TIME, actor: 'admin', requestId: 'r', traceId: 't' };

  it('a change is hashed as its canonical entry, after 64 zeros', () => {
    const entry =
      `{"action":"CREATE","actor":"admin","after":"${AFTER}","detail":{"edit_version":1},` +
      `"entity":{"id":"hello","kind":"TEMPLATE"},"prev":"${'0'.repeat(64)}","request_id":"r","seq":1,` +
      `"tenant":"default","time":"2026-03-01T12:00:00.120Z","trace_id":"t"}`;
    assert.equal(changeHash(change, CHAIN_ORIGIN), sha256(entry));
  });

  it('a member without a value is left out, so that later ones can be added', () => {
    const bare = { ...change, beforeHash: '', afterHash: '', requestId: '', traceId: '' };
    const entry =
      `{"action":"CREATE","actor":"admin","detail":{"edit_version":1},"entity":{"id":"hello","kind":"TEMPLATE"},` +
      `"prev":"${'0'.repeat(64)}","seq":1,"tenant":"default","time":"2026-03-01T12:00:00.120Z"}`;
    assert.equal(changeHash(bare, CHAIN_ORIGIN), sha256(entry));
  });

  it('each member counts, and what came before', () => {
    const changes = [
      { seq: 2 },
      { time: new Date(0) },
      { actor: 'b' },
      { action: 'UPDATE' as const },
      { tenant: 'b' },
      { entityKind: 'BUNDLE' as const },
      { entityId: 'b' },
      { beforeHash: 'b' },
      { afterHash: 'b' },
      { detail: {} },
      { requestId: 'b' },
      { traceId: 'b' },
    ];
    const hashes = changes.map((other) => changeHash({ ...change, ...other }, CHAIN_ORIGIN));
    hashes.push(changeHash(change, CHAIN_ORIGIN), changeHash(change, '1'.repeat(64)));
    assert.equal(new Set(hashes).size, changes.length + 2);
  });
});

describe('Receipts are chained in batches of one day', () => {
  it('a receipt is hashed over all its columns', () => {
    const record = receiptRecord(TIME);
    const hashes = Object.keys(record).map((name) => {
      const value = { time: new Date(0), durationUs: -1, revision: -1, seq: -1, rendererVersion: -1, labels: {} }[name];
      return receiptHash({ ...record, [name]: value ?? 'other' });
    });
    hashes.push(receiptHash(record));
    assert.equal(new Set(hashes).size, 28);
  });

  it('a root is the hash of the concatenated bytes of the hashes', () => {
    const [a, b] = [sha256('a'), sha256('b')];
    assert.equal(batchRoot([a, b]), sha256(Buffer.from(a + b, 'hex')));
    assert.notEqual(batchRoot([a, b]), batchRoot([b, a]));
  });

  it('a batch is hashed with its time, day, count, root and the batch before', () => {
    const batch = { batch: 3, time: TIME, day: '2026-03-01', count: 2, root: sha256('root') };
    const entry = `{"batch":3,"count":2,"day":"2026-03-01","prev":"${sha256('prev')}","root":"${sha256('root')}",` +
      `"time":"2026-03-01T12:00:00.120Z"}`;
    assert.equal(batchHash(batch, sha256('prev')), sha256(entry));
  });
});
