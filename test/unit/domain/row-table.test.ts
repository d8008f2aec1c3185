import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { HASH_WORDS, RowTable } from '../../../src/domain/row-table.ts';

/** Enough for several pages. */
const ROWS = 5_000;

function hashOf(row: number): string {
  return createHash('sha256').update(String(row)).digest('hex');
}

describe('The map is compact', () => {
  it('in rows of numbers, each as it was written', () => {
    const table = new RowTable(2 + HASH_WORDS);
    for (let row = 0; row < ROWS; row += 1) {
      assert.equal(table.append(), row);
      table.set(row, 0, row);
      table.setHash(row, 1, hashOf(row));
      table.set(row, 1 + HASH_WORDS, -row);
    }
    for (let row = 0; row < ROWS; row += 1) {
      assert.deepEqual([table.get(row, 0), table.hash(row, 1), table.get(row, 9)], [row, hashOf(row), -row || 0]);
    }
  });

  it('of zeros before anything is written', () => {
    const table = new RowTable(HASH_WORDS);
    assert.equal(table.hash(table.append(), 0), '0'.repeat(64));
  });

  it('and takes nothing for a hash that does not come back as it was', () => {
    const table = new RowTable(HASH_WORDS);
    const row = table.append();
    table.setHash(row, 0, hashOf(1));
    const other = hashOf(2);
    for (const wrong of ['', 'ab', other.slice(1), `${other}0`, other.toUpperCase(), `${other.slice(1)}x`]) {
      assert.throws(() => table.setHash(row, 0, wrong), new TypeError(`not a hash: ${wrong}`));
    }
    assert.equal(table.hash(row, 0), hashOf(1));
  });
});
