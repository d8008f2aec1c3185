import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mock } from 'node:test';
import type { Server } from '@grpc/grpc-js';
import { limitConnectionAge } from '../../../src/rpc/connection-age.ts';
import { turn } from '../../support/routing/virtual-time.ts';

const AGE_MS = 1000;

/** A connection that notes what it is told. */
class Session extends EventEmitter {
  destroyed = false;
  readonly told: string[] = [];

  close(): void {
    this.told.push('close');
  }
}

describe('Connections age', () => {
  let session: Session;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const http2Server = new EventEmitter();
    limitConnectionAge({ http2Servers: new Map([[http2Server, {}]]) } as unknown as Server, AGE_MS);
    session = new Session();
    http2Server.emit('session', session);
  });
  afterEach(() => mock.timers.reset());

  it('not before their time, give or take a tenth', () => {
    session.emit('stream');
    mock.timers.tick(0.9 * AGE_MS - 1);
    assert.equal(session.listenerCount('stream'), 0);
    mock.timers.tick(0.2 * AGE_MS + 1);
    assert.equal(session.listenerCount('stream'), 1);
  });

  it('and end once the next call has come', async () => {
    mock.timers.tick(1.1 * AGE_MS);
    assert.deepEqual(session.told, []);
    session.emit('stream');
    await turn();
    assert.deepEqual(session.told, ['close']);
    session.emit('stream');
    await turn();
    assert.equal(session.told.length, 1);
  });

  it('one that ended before needs nothing', () => {
    session.emit('close');
    mock.timers.tick(1.1 * AGE_MS);
    assert.equal(session.listenerCount('stream'), 0);
  });

  it('nor one that ended with its last call', async () => {
    mock.timers.tick(1.1 * AGE_MS);
    session.emit('stream');
    session.destroyed = true;
    await turn();
    assert.deepEqual(session.told, []);
  });
});
