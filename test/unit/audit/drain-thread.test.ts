import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DrainThread } from '../../../src/audit/drain-thread.ts';
import type { DrainEvent } from '../../../src/audit/drainer.ts';
import { until } from '../../support/until.ts';

const SCRIPTED = join(import.meta.dirname, '../../support/audit/scripted-drainer.ts');

describe('Receipts reach the chain whatever is killed when', () => {
  let commands: unknown[];
  let deaths: unknown[];

  function start(data: 'ends' | 'hangs' | 'hangs at its end' = 'ends'): DrainThread<string> {
    const tell = (event: DrainEvent) => commands.push(JSON.parse((event as { reason: string }).reason));
    return new DrainThread({ filename: SCRIPTED, data, tell, died: (error) => deaths.push(error) });
  }

  beforeEach(() => {
    commands = [];
    deaths = [];
  });

  it('the drainer has a thread of its own, which is told what to do and drains before it ends', async () => {
    const thread = start();
    thread.own('/journal/0', 7);
    thread.own('/journal/0', 7);
    thread.makePartitions();
    await thread.stop(1_000);
    assert.deepEqual(commands, [
      { kind: 'own', directory: '/journal/0', firstSegment: 7 },
      { kind: 'make partitions' },
      { kind: 'stop', withinMs: 1_000 },
    ]);
    assert.deepEqual(deaths, []);
  });

  it('one that dies is replaced, and told its journal again', async () => {
    const thread = start();
    thread.own('/journal/0', 7);
    thread.flush();
    await until('it died', () => deaths.length === 1);
    assert.match(String(deaths[0]), /crashed/);
    commands = [];
    await until('another one has begun', () => commands.length === 1);
    assert.deepEqual(commands, [{ kind: 'own', directory: '/journal/0', firstSegment: 7 }]);
    await thread.stop(0);
  });

  it('none begins after the end', async () => {
    const thread = start();
    thread.flush();
    await until('it died', () => deaths.length === 1);
    thread.flush();
    await thread.stop(0);
    assert.deepEqual(commands, [{ kind: 'flush' }]);
  });

  it('one that hangs is ended', async () => {
    await start('hangs').stop(0);
    await start('hangs at its end').stop(3_600_000);
    assert.deepEqual(deaths, []);
  });
});
