import assert from 'node:assert/strict';
import type { Redis } from 'ioredis';
import { RedisContent } from '../../../src/cache/redis-content.ts';
import type { RedisStore } from '../../../src/cache/redis.ts';
import { Unavailable } from '../../../src/domain/errors.ts';
import { documentOf } from '../../../src/domain/document.ts';
import type { PublishedContent } from '../../../src/services/render-ports.ts';
import { bareRedis, connectRedis } from '../../support/redis-store.ts';
import { keyPrefix, testRedisUrl } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const GREETING = documentOf({ sections: ['Grüße 🦊\u0000'] });
const FAREWELL = documentOf({ sections: ['bye'] });

/** What is beneath Redis, and how often it was asked. */
class Beneath implements PublishedContent {
  asked = 0;
  away = false;

  async document(hash: string): Promise<string | undefined> {
    this.#ask();
    return [GREETING, FAREWELL].find((each) => each.hash === hash)?.text;
  }

  async versionHash(tenant: string, bundleId: string, version: string): Promise<string | undefined> {
    this.#ask();
    return tenant === 'acme' && bundleId === 'chat' && version === '1.0.0' ? GREETING.hash : undefined;
  }

  #ask(): void {
    this.asked += 1;
    if (this.away) throw new Unavailable('DATABASE_UNAVAILABLE', 'the database is away', 1_000);
  }
}

describe('Published content in Redis', () => {
  let prefix: string;
  let store: RedisStore;
  let bare: Redis;
  let beneath: Beneath;
  let content: RedisContent;
  let told: string[];

  const keyOf = { document: `document:${GREETING.hash}`, version: 'version:acme:chat:1.0.0' };
  const find = {
    document: () => content.document(GREETING.hash),
    version: () => content.versionHash('acme', 'chat', '1.0.0'),
  };
  const secondsOf = { document: 604_800, version: 3_600 };
  const right = { document: GREETING.text, version: GREETING.hash };
  const written = (key: string) => until(`${key} is held`, async () => (await bare.exists(prefix + key)) === 1);

  before(async () => {
    bare = bareRedis(await testRedisUrl());
  });

  beforeEach(async () => {
    prefix = keyPrefix();
    ({ store } = await connectRedis(await testRedisUrl(), { prefix }));
    beneath = new Beneath();
    told = [];
    content = new RedisContent(store, beneath, {
      hit: (level, kind) => told.push(`hit ${level} ${kind}`),
      miss: (level, kind) => told.push(`miss ${level} ${kind}`),
      corrupt: (kind) => told.push(`corrupt ${kind}`),
    });
  });

  afterEach(() => store.close());
  after(() => bare.disconnect());

  for (const kind of ['document', 'version'] as const) {
    describe(`A ${kind} falls through the levels`, () => {
      it('what Redis lacks comes from beneath, and from Redis from then on', async () => {
        assert.equal(await find[kind](), right[kind]);
        await written(keyOf[kind]);
        beneath.away = true;
        assert.equal(await find[kind](), right[kind]);
        assert.equal(beneath.asked, 1);
        assert.deepEqual(told, [`miss l2 ${kind}`, `hit l2 ${kind}`]);
      });

      it(`for ${secondsOf[kind]} s`, async () => {
        await find[kind]();
        await written(keyOf[kind]);
        const ttl = await bare.ttl(prefix + keyOf[kind]);
        assert(ttl > secondsOf[kind] - 60 && ttl <= secondsOf[kind]);
      });

      it('again after Redis was emptied', async () => {
        await find[kind]();
        await written(keyOf[kind]);
        await bare.del(prefix + keyOf[kind]);
        assert.equal(await find[kind](), right[kind]);
        await written(keyOf[kind]);
      });

      it('from beneath while Redis is away', async () => {
        store.close();
        assert.equal(await find[kind](), right[kind]);
        assert.equal(await find[kind](), right[kind]);
        assert.deepEqual(told, [`miss l2 ${kind}`, `miss l2 ${kind}`]);
      });

      it('and is unavailable if neither has it to give', async () => {
        beneath.away = true;
        await assert.rejects(find[kind](), { name: 'Unavailable', message: 'the database is away' });
      });
    });

    describe('Wrong bytes in Redis are found and replaced', () => {
      const wrong: Record<string, () => Buffer | Promise<Buffer>> = {
        'no bytes': () => Buffer.alloc(0),
        'other bytes': () => Buffer.from([0xff, 0x00, 0x0a]),
        'the right bytes and one more': async () => {
          return Buffer.concat([(await bare.getBuffer(prefix + keyOf[kind]))!, Buffer.from(' ')]);
        },
        'bytes of another key': async () => {
          await content.document(FAREWELL.hash);
          await written(`document:${FAREWELL.hash}`);
          return (await bare.getBuffer(`${prefix}document:${FAREWELL.hash}`))!;
        },
        'a hash without a checksum': () => Buffer.from(FAREWELL.hash),
      };

      for (const [name, bytes] of Object.entries(wrong)) {
        it(`${name} under a ${kind}`, async () => {
          await find[kind]();
          await written(keyOf[kind]);
          const rightBytes = await bare.getBuffer(prefix + keyOf[kind]);
          await bare.set(prefix + keyOf[kind], await bytes());
          told.length = 0;
          assert.equal(await find[kind](), right[kind]);
          assert.deepEqual(told, [`corrupt ${kind}`, `miss l2 ${kind}`]);
          await until('the right bytes are held', async () => {
            return rightBytes!.equals((await bare.getBuffer(prefix + keyOf[kind]))!);
          });
        });
      }

      it(`a list under a ${kind}`, async () => {
        await bare.rpush(prefix + keyOf[kind], 'one');
        assert.equal(await find[kind](), right[kind]);
        await until('the right bytes are held', async () => (await bare.type(prefix + keyOf[kind])) === 'string');
        assert.equal(await find[kind](), right[kind]);
        assert.equal(beneath.asked, 1);
      });
    });
  }

  describe('What is held', () => {
    it('is the canonical JSON as it is hashed and stored', async () => {
      await find.document();
      await written(keyOf.document);
      assert.equal(await bare.get(prefix + keyOf.document), GREETING.text);
    });

    it('is never that something is missing: it may come', async () => {
      assert.equal(await content.document('0'.repeat(64)), undefined);
      assert.equal(await content.versionHash('acme', 'chat', '2.0.0'), undefined);
      await find.document();
      await written(keyOf.document);
      assert.deepEqual(await bare.keys(`${prefix}*`), [prefix + keyOf.document]);
    });

    it('is kept there where pointers name it: what was lost or damaged is written anew, and nothing else', async () => {
      await content.keep(GREETING.hash);
      assert.equal(await bare.get(prefix + keyOf.document), GREETING.text);
      await content.keep(GREETING.hash);
      assert.equal(beneath.asked, 1);
      await bare.set(prefix + keyOf.document, 'garbage');
      await content.keep(GREETING.hash);
      assert.equal(await bare.get(prefix + keyOf.document), GREETING.text);
      beneath.away = true;
      await content.keep(GREETING.hash);
      await bare.del(prefix + keyOf.document);
      await assert.rejects(content.keep(GREETING.hash), Unavailable);
      beneath.away = false;
      await content.keep('0'.repeat(64));
      assert.equal(await bare.exists(`${prefix}document:${'0'.repeat(64)}`), 0);
    });

    it('is written by few writes at a time, however much is missed', async () => {
      const writes: Array<() => void> = [];
      const slow = new RedisContent(
        {
          get: async () => undefined,
          set: () => new Promise<void>((resolve) => writes.push(resolve)),
        },
        beneath,
        { hit: () => {}, miss: () => {}, corrupt: () => {} },
      );
      const misses = () => Promise.all(Array.from({ length: 50 }, () => slow.document(GREETING.hash)));
      assert.deepEqual(new Set(await misses()), new Set([GREETING.text]));
      assert.equal(writes.length, 16);
      for (const written of writes.splice(0)) written();
      await misses();
      assert.equal(writes.length, 16);
    });
  });
});
