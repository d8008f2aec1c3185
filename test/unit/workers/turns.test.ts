import assert from 'node:assert/strict';
import { Turns } from '../../../src/workers/turns.ts';

const { signal: never } = new AbortController();

describe('Tasks take turns', () => {
  it('first come, first served', async () => {
    const turns = new Turns(1, 2);
    const order: string[] = [];
    assert.equal(await turns.take(never), true);
    const waiting = ['first', 'second'].map(async (name) => {
      await turns.take(never);
      order.push(name);
      turns.give();
    });
    turns.give();
    await Promise.all(waiting);
    assert.deepEqual(order, ['first', 'second']);
  });

  it('refuses at once where too many wait', async () => {
    const turns = new Turns(1, 0);
    assert.equal(await turns.take(never), true);
    assert.equal(await turns.take(never), false);
    turns.give();
    assert.equal(await turns.take(never), true);
  });

  it('passes over whoever gave up', async () => {
    const turns = new Turns(1, 2);
    await turns.take(never);
    const impatient = new AbortController();
    const gaveUp = turns.take(impatient.signal);
    const waits = turns.take(never);
    impatient.abort(new Error('enough'));
    await assert.rejects(gaveUp, { message: 'enough' });
    turns.give();
    assert.equal(await waits, true);
  });

  it('gives none to whoever has given up before', async () => {
    const turns = new Turns(1, 0);
    await assert.rejects(turns.take(AbortSignal.abort(new Error('enough'))), { message: 'enough' });
    assert.equal(await turns.take(never), true);
  });
});
