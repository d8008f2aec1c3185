import assert from 'node:assert/strict';
import { SingleFlight } from '../../../src/cache/single-flight.ts';

describe('One flight loads a key', () => {
  it('for all who ask while it is under way', async () => {
    const flights = new SingleFlight<object>();
    const { promise, resolve } = Promise.withResolvers<object>();
    const first = flights.do('key', () => promise);
    const second = flights.do('key', () => assert.fail('it is under way'));
    const other = flights.do('other key', () => Promise.resolve({}));
    const loaded = {};
    resolve(loaded);
    assert.equal(await first, loaded);
    assert.equal(await second, loaded);
    assert.notEqual(await other, loaded);
  });

  it('and again once it has landed', async () => {
    const flights = new SingleFlight<number>();
    assert.equal(await flights.do('key', () => Promise.resolve(1)), 1);
    assert.equal(await flights.do('key', () => Promise.resolve(2)), 2);
  });

  it('and again once it has failed, which all who asked learn', async () => {
    const flights = new SingleFlight<number>();
    const failing = () => Promise.reject(new Error('away'));
    const asked = [flights.do('key', failing), flights.do('key', failing)];
    for (const each of asked) await assert.rejects(each, { message: 'away' });
    assert.equal(await flights.do('key', () => Promise.resolve(2)), 2);
  });
});
