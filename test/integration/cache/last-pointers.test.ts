import assert from 'node:assert/strict';
import type { Redis } from 'ioredis';
import { RedisLastPointers } from '../../../src/cache/last-pointers.ts';
import type { RedisStore } from '../../../src/cache/redis.ts';
import { seal } from '../../../src/cache/sealed.ts';
import type { PromptType } from '../../../src/domain/prompt-type.ts';
import type { TenantScope } from '../../../src/domain/route-map.ts';
import type { LastPointer } from '../../../src/services/render-ports.ts';
import { bareRedis, connectRedis } from '../../support/redis-store.ts';
import { keyPrefix, testRedisUrl } from '../../support/redis.ts';

const TYPE: PromptType = 'GREETING';
const SCOPE: TenantScope = { known: true, variables: { brand: 'Änne 🦊', nothing: null }, capturePolicy: 'HASH_ONLY' };

/** What a replica puts that has applied this change. */
function pointer(seq: number, tenant = 'acme'): LastPointer {
  const release = { version: `1.${seq}.0`, bundleHash: 'a'.repeat(64), channel: 'production', revision: seq };
  return { seq, answer: { tenant, bundleId: 'chat', ...release }, scope: SCOPE };
}

/** What a replica puts where nothing answers any more. */
function tombstone(seq: number): LastPointer {
  return { seq, answer: undefined, scope: SCOPE };
}

describe('Redis pointers are a last resort', () => {
  let prefix: string;
  let store: RedisStore;
  let bare: Redis;
  let pointers: RedisLastPointers;
  let corrupt: string[];
  let kept: string[];

  const raw = (tenant: string) => `${prefix}prompt:${tenant}:GREETING`;
  const seqOf = async (tenant: string) => (await pointers.find(tenant, TYPE))?.seq;

  before(async () => {
    bare = bareRedis(await testRedisUrl());
  });

  beforeEach(async () => {
    prefix = keyPrefix();
    ({ store } = await connectRedis(await testRedisUrl(), { prefix }));
    corrupt = [];
    kept = [];
    const documents = { keep: (hash: string) => Promise.resolve(void kept.push(hash)) };
    pointers = new RedisLastPointers(store, documents, { corrupt: (kind) => corrupt.push(kind) });
  });

  afterEach(() => store.close());
  after(() => bare.disconnect());

  it('a pointer is found as it was put', async () => {
    await pointers.put('acme', TYPE, pointer(5));
    assert.deepEqual(await pointers.find('acme', TYPE), pointer(5));
    assert.equal(await pointers.find('other', TYPE), undefined);
    assert.deepEqual(corrupt, []);
  });

  it('with the document that it names, of which Redis is asked now and then', async () => {
    await pointers.put('acme', TYPE, pointer(5));
    await pointers.put('other', TYPE, pointer(5, 'other'));
    await pointers.put('acme', TYPE, tombstone(6));
    assert.deepEqual(kept, ['a'.repeat(64)]);
  });

  it('for an hour', async () => {
    await pointers.put('acme', TYPE, pointer(5));
    await pointers.complete(5);
    for (const key of [raw('acme'), `${prefix}prompt-seq`]) {
      const ttl = await bare.ttl(key);
      assert(ttl > 3_500 && ttl <= 3_600);
    }
  });

  it('putting it again renews the hour', async () => {
    await pointers.put('acme', TYPE, pointer(5));
    await bare.expire(raw('acme'), 10);
    await pointers.put('acme', TYPE, pointer(5));
    assert(await bare.ttl(raw('acme')) > 3_500);
  });

  it('an old writer changes nothing, and does not renew it', async () => {
    await pointers.put('acme', TYPE, pointer(6));
    await bare.expire(raw('acme'), 10);
    await pointers.put('acme', TYPE, pointer(5));
    assert.deepEqual(await pointers.find('acme', TYPE), pointer(6));
    assert(await bare.ttl(raw('acme')) <= 10);
  });

  it('numbers are compared as numbers', async () => {
    await pointers.put('acme', TYPE, pointer(9));
    await pointers.put('acme', TYPE, pointer(10));
    assert.equal(await seqOf('acme'), 10);
    await pointers.put('acme', TYPE, pointer(9_007_199_254_740_991));
    await pointers.put('acme', TYPE, pointer(9_007_199_254_740_990));
    assert.equal(await seqOf('acme'), 9_007_199_254_740_991);
  });

  it('of concurrent writers the one that is furthest wins', async () => {
    const seqs = Array.from({ length: 200 }, (_, index) => ((index * 77) % 200) + 1);
    await Promise.all(seqs.map((seq) => pointers.put('acme', TYPE, pointer(seq))));
    assert.equal(await seqOf('acme'), 200);
  });

  it('where nothing answers any more, that is said over what was there', async () => {
    await pointers.put('acme', TYPE, pointer(5));
    await pointers.put('acme', TYPE, tombstone(6));
    assert.deepEqual(await pointers.find('acme', TYPE), tombstone(6));
    await pointers.put('acme', TYPE, pointer(5));
    assert.deepEqual(await pointers.find('acme', TYPE), tombstone(6));
    await pointers.put('acme', TYPE, pointer(7));
    assert.deepEqual(await pointers.find('acme', TYPE), pointer(7));
  });

  it('but where nothing was there, nothing is said', async () => {
    await pointers.put('acme', TYPE, tombstone(6));
    assert.equal(await bare.exists(raw('acme')), 0);
  });

  it('an old tombstone changes nothing', async () => {
    await pointers.put('acme', TYPE, pointer(7));
    await pointers.put('acme', TYPE, tombstone(6));
    assert.deepEqual(await pointers.find('acme', TYPE), pointer(7));
  });

  describe('what is not a pointer is found, counted, and overwritten', () => {
    const garbage: Record<string, () => Promise<unknown>> = {
      'no bytes': () => bare.set(raw('acme'), ''),
      'a few bytes': () => bare.set(raw('acme'), '99'),
      'any bytes': () => bare.set(raw('acme'), Buffer.from([0, 0xff, 0x0a, 0x80])),
      'a number like that of a later change': () => bare.set(raw('acme'), `${'0'.repeat(40)}\n99999\n{}`),
      'a number changed later': async () => {
        const held = (await bare.get(raw('acme')))!;
        await bare.set(raw('acme'), held.replace('\n5\n', '\n9\n'));
      },
      'the pointer of another tenant': async () => {
        await pointers.put('other', TYPE, pointer(9, 'other'));
        await bare.set(raw('acme'), (await bare.getBuffer(raw('other')))!);
      },
    };

    for (const [name, corrupts] of Object.entries(garbage)) {
      it(name, async () => {
        await pointers.put('acme', TYPE, pointer(5));
        await corrupts();
        assert.equal(await pointers.find('acme', TYPE), undefined);
        assert.deepEqual(corrupt, ['pointer']);
        await pointers.put('acme', TYPE, pointer(5));
        assert.deepEqual(await pointers.find('acme', TYPE), pointer(5));
      });
    }

    it('a list', async () => {
      await bare.rpush(raw('acme'), 'one');
      assert.equal(await pointers.find('acme', TYPE), undefined);
      await pointers.put('acme', TYPE, tombstone(5));
      assert.deepEqual(await pointers.find('acme', TYPE), tombstone(5));
    });
  });

  it('that all are held is said once all are', async () => {
    assert.equal(await pointers.held(), false);
    await pointers.complete(5);
    assert.equal(await pointers.held(), true);
    await bare.set(`${prefix}prompt-seq`, '5');
    assert.equal(await pointers.held(), false);
    await pointers.complete(4);
    assert.equal(await pointers.held(), true);
  });

  it('none is held after Redis was emptied', async () => {
    await pointers.put('acme', TYPE, pointer(5));
    await pointers.complete(5);
    await bare.del(raw('acme'), `${prefix}prompt-seq`);
    assert.equal(await pointers.find('acme', TYPE), undefined);
    assert.equal(await pointers.held(), false);
  });

  it('whoever asks while Redis is away learns that nothing is held; whoever writes learns that it cannot', async () => {
    store.close();
    assert.equal(await pointers.find('acme', TYPE), undefined);
    assert.equal(await pointers.held(), false);
    await assert.rejects(pointers.put('acme', TYPE, pointer(5)), { name: 'Unavailable' });
    await assert.rejects(pointers.complete(5), { name: 'Unavailable' });
  });

  it('what was sealed and is no pointer is not read', async () => {
    await bare.set(raw('acme'), seal('prompt:acme:GREETING', '5\nnot JSON'));
    assert.equal(await pointers.find('acme', TYPE), undefined);
  });
});
