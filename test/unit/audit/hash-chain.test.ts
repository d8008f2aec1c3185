import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import {
  batchHash,
  batchRoot,
  CHAIN_ORIGIN,
  changeHash,
  dayOf,
  labelsText,
  receiptHash,
} from '../../../src/audit/hash-chain.ts';
import type { ReceiptRecord } from '../../../src/services/trail.ts';
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

  it('a receipt is hashed as its canonical entry (RFC 8785), whatever it holds', () => {
    const marks = fc.constantFrom('', '"', '\\', '\u2028', '1', '10');
    const text = fc.oneof(marks, fc.string({ unit: 'binary' }));
    const number = fc.oneof(fc.nat(), fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }));
    const labels = fc.dictionary(fc.oneof(text, fc.nat().map(String)), text);
    const columns = Object.entries(receiptRecord(TIME)).map(([name, value]) => [
      name,
      typeof value === 'string' ? text : number,
    ]);
    const time = fc.date({ noInvalidDate: true });
    const records: fc.Arbitrary<ReceiptRecord> = fc.record({ ...Object.fromEntries(columns), time, labels });
    const property = fc.property(records, (record) => {
      const named = Object.entries(record).map(([name, value]) => [
        name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        value instanceof Date ? value.toISOString() : (value as unknown),
      ]);
      const entry = canonicalize(Object.fromEntries(named.filter(([, value]) => value !== '')))!;
      assert.equal(receiptHash(record), sha256(entry));
      assert.equal(labelsText(record.labels), canonicalize(record.labels));
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('text that is not well-formed Unicode has no hash', () => {
    for (const bad of [{ caller: 'a\ud800' }, { labels: { '\udc00': 'a' } }, { labels: { a: '\udc00' } }]) {
      assert.throws(() => receiptHash(receiptRecord(TIME, bad)), Error);
    }
  });

  it('the day of a receipt is that of the time in its id, in UTC', () => {
    const id = (milliseconds: number) =>
      `${milliseconds.toString(16).padStart(12, '0').replace(/^.{8}/, '$&-')}-7000-8000-000000000000`;
    assert.equal(dayOf(id(Date.parse('2026-03-01T00:00:00.000Z'))), '2026-03-01');
    assert.equal(dayOf(id(Date.parse('2026-02-28T23:59:59.999Z'))), '2026-02-28');
    assert.equal(dayOf(id(2 ** 48 - 1)), '10889-08-02');
    assert.throws(() => dayOf('none'), RangeError);
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
