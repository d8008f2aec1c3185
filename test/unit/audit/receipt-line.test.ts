import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { decodeLine, encodeLine } from '../../../src/audit/receipt-line.ts';
import { receiptRecord, TIME } from '../../support/storage/records.ts';

const RECEIPT = receiptRecord(TIME, { requestedType: 'GREETING', labels: { app: 'shop', 'app-2': 'ü' } });
const INPUTS = {
  variables: { name: 'Ada\n"Lovelace"\u2028\u{1f9ee}\ud800', size: 1.5e-7, ['__proto__']: { deep: [null, true] } },
  placeholders: { history: [{ role: 'USER', content: 'Where is my order?' }] },
  fallbackText: '',
};

/** As a line that another program would write: with the right checksum. */
function lineOf(json: string): string {
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}`;
}

function withoutFeed(line: string): string {
  return line.slice(0, -1);
}

describe('Receipts pass through a local journal', () => {
  it('a line gives back the receipt and its captured values', () => {
    const line = encodeLine(RECEIPT, JSON.stringify(INPUTS));
    assert.deepEqual(decodeLine(withoutFeed(line)), { receipt: RECEIPT, inputs: INPUTS });
  });

  it('a line without captured values gives back that there are none', () => {
    const line = encodeLine(RECEIPT, undefined);
    assert.deepEqual(decodeLine(withoutFeed(line)), { receipt: RECEIPT, inputs: undefined });
  });

  it('whatever the values hold, a line feed ends the line and is nowhere else in it', () => {
    const line = encodeLine(RECEIPT, JSON.stringify(INPUTS));
    assert.equal(line.indexOf('\n'), line.length - 1);
  });

  it('a line is the checksum of an array and the array, which begins with the number of the format', () => {
    const line = encodeLine(RECEIPT, JSON.stringify(INPUTS));
    const json = withoutFeed(line).slice(9);
    assert.equal(withoutFeed(line), lineOf(json));
    assert.deepEqual((JSON.parse(json) as unknown[]).slice(0, 3), [1, RECEIPT.renderId, TIME.getTime()]);
  });

  it('the checksum has eight digits, whatever its value', () => {
    for (let seq = 0; seq < 1_000; seq += 1) {
      const line = withoutFeed(encodeLine({ ...RECEIPT, seq }, undefined));
      assert.equal(line, lineOf(line.slice(9)));
    }
  });
});

describe('A bad receipt never blocks the rest', () => {
  const line = withoutFeed(encodeLine(RECEIPT, JSON.stringify(INPUTS)));

  it('a line with any other character in it is damaged', () => {
    for (let at = 0; at < line.length; at += 1) {
      const other = line[at] === 'x' ? 'y' : 'x';
      assert.equal(decodeLine(line.slice(0, at) + other + line.slice(at + 1)), undefined, `character ${at}`);
    }
  });

  it('a line that ends too early is damaged', () => {
    for (const end of [0, 1, 8, 9, 100, line.length - 1]) assert.equal(decodeLine(line.slice(0, end)), undefined);
  });

  it('a line of another format is not read', () => {
    const row = JSON.parse(line.slice(9)) as unknown[];
    const others = ['', '[', 'null', '{}', JSON.stringify([2, ...row.slice(1)]), JSON.stringify(row.slice(0, 27))];
    others.push(JSON.stringify(row.with(1, null)));
    for (const json of [...others, JSON.stringify([...row, 'more'])]) {
      assert.equal(decodeLine(lineOf(json)), undefined, json);
    }
  });
});
