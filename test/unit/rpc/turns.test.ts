import assert from 'node:assert/strict';
import { Turns } from '../../../src/rpc/turns.ts';

const TURN_MS = 10;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Holds up the event loop for more than a turn's time. */
function work(): void {
  const end = performance.now() + TURN_MS;
  while (performance.now() < end);
}

describe("A render stream is bounded and keeps to the caller's pace", () => {
  it('pieces that take no time begin at once', () => {
    const turns = new Turns();
    const begun: number[] = [];
    for (const piece of [1, 2, 3]) turns.begin(() => begun.push(piece));
    assert.deepEqual(begun, [1, 2, 3]);
  });

  it('what would make a turn longer than 10 ms waits for the next ones, in its order', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    for (const piece of [1, 2, 3]) {
      turns.begin(() => {
        begun.push(piece);
        work();
      });
    }
    turns.begin(() => begun.push(4));
    assert.deepEqual(begun, [1]);
    await nextTurn();
    assert.deepEqual(begun, [1, 2]);
    turns.begin(() => begun.push(5));
    await nextTurn();
    assert.deepEqual(begun, [1, 2, 3]);
    await nextTurn();
    assert.deepEqual(begun, [1, 2, 3, 4, 5]);
  });

  it('a later turn has its time anew', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    turns.begin(work);
    await nextTurn();
    turns.begin(() => begun.push(1));
    assert.deepEqual(begun, [1]);
  });

  it('what has waited, perhaps for the same, goes on in later turns, in its order', async () => {
    const turns = new Turns();
    const begun: number[] = [];
    for (const piece of [1, 2]) {
      void turns.next().then(() => {
        begun.push(piece);
        work();
      });
    }
    turns.begin(() => begun.push(3));
    assert.deepEqual(begun, []);
    await nextTurn();
    assert.deepEqual(begun, [1]);
    await nextTurn();
    assert.deepEqual(begun, [1, 2]);
    await nextTurn();
    assert.deepEqual(begun, [1, 2, 3]);
  });

  it('work that always has a further piece leaves room for other work', async () => {
    const turns = new Turns();
    const begun: string[] = [];
    const endless = () => {
      begun.push('endless');
      work();
      if (begun.length < 10) turns.begin(endless);
    };
    turns.begin(endless);
    turns.begin(() => begun.push('other'));
    while (!begun.includes('other')) await nextTurn();
    assert.deepEqual(begun.slice(0, 3), ['endless', 'endless', 'other']);
  });
});
