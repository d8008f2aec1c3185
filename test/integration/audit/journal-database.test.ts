import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tieToDatabase } from '../../../src/audit/journal-database.ts';
import { journalRoots } from '../../support/audit/journals.ts';

describe('The journal is drained into PostgreSQL', () => {
  const newRoot = journalRoots();

  it('into the first one that it is drained to, and into no other', async () => {
    const root = newRoot();
    await tieToDatabase(root, 'one');
    await tieToDatabase(root, 'one');
    await assert.rejects(tieToDatabase(root, 'another'), /hold receipts of another database.*PLATEN_AUDIT_JOURNAL_DIR/);
    assert.equal(readFileSync(join(root, 'database'), 'utf8'), 'one\n');
  });

  it('into another one once an operator says that it takes its place', async () => {
    const root = newRoot();
    await tieToDatabase(root, 'one');
    rmSync(join(root, 'database'));
    await tieToDatabase(root, 'another');
    await assert.rejects(tieToDatabase(root, 'one'), /another database/);
  });

  it('of several that want it at once, into one only', async () => {
    const root = newRoot();
    const wanted = ['one', 'two', 'three', 'four'];
    const results = await Promise.allSettled(wanted.map((origin) => tieToDatabase(root, origin)));
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.deepEqual(readdirSync(root), ['database']);
  });

  it('from a disk that it has filled too: nothing is written where it is known which one', async () => {
    const root = newRoot();
    await tieToDatabase(root, 'one');
    const { mtimeNs, ctimeNs } = statSync(root, { bigint: true });
    await tieToDatabase(root, 'one');
    const after = statSync(root, { bigint: true });
    assert.deepEqual([after.mtimeNs, after.ctimeNs], [mtimeNs, ctimeNs]);
  });

  it('not at all while it cannot be known which one', async () => {
    const root = newRoot();
    mkdirSync(join(root, 'database'));
    await assert.rejects(tieToDatabase(root, 'one'), { code: 'EISDIR' });
    await assert.rejects(tieToDatabase(join(root, 'not there'), 'one'), { code: 'ENOENT' });
  });
});
