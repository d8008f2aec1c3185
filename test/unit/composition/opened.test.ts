import assert from 'node:assert/strict';
import { Opened } from '../../../src/composition/opened.ts';

describe('Draining loses no request', () => {
  it('what was opened is closed in the opposite order, once', async () => {
    const closed: string[] = [];
    const opened = new Opened();
    for (const name of ['database', 'ports']) opened.add(async () => void closed.push(name));
    await opened.close();
    await opened.close();
    assert.deepEqual(closed, ['ports', 'database']);
  });

  it('what cannot be closed keeps nothing else open, and the first failure is told', async () => {
    const closed: string[] = [];
    const opened = new Opened();
    opened.add(async () => void closed.push('database'));
    opened.add(() => Promise.reject(new Error('second')));
    opened.add(() => Promise.reject(new Error('first')));
    await assert.rejects(opened.close(), { message: 'first' });
    assert.deepEqual(closed, ['database']);
  });
});
