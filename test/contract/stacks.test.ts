import assert from 'node:assert/strict';
import { BatchedContent } from '../../src/cache/batched-content.ts';
import { CompiledBundleCache } from '../../src/cache/compiled-bundle-cache.ts';
import { CountedContent } from '../../src/cache/counted-content.ts';
import { PinnedVersionCache } from '../../src/cache/pinned-version-cache.ts';
import { RedisContent } from '../../src/cache/redis-content.ts';
import type { RedisStore } from '../../src/cache/redis.ts';
import { ReplicaContent } from '../../src/cache/replica-content.ts';
import { compileBundle } from '../../src/domain/assembly.ts';
import type { Document } from '../../src/domain/document.ts';
import { Unavailable } from '../../src/domain/errors.ts';
import { StoreGuard } from '../../src/guard/store-guard.ts';
import type { ContentStore, PublishedContent } from '../../src/services/render-ports.ts';
import type { Database, DatabaseConfig } from '../../src/storage/database.ts';
import { PostgresPublishedContent } from '../../src/storage/published-content.ts';
import { ContentCounts } from '../support/cache/fake-content.ts';
import { openRedisStore } from '../support/cache/redis-stores.ts';
import { DatabaseProxy } from '../support/database-proxy.ts';
import { given } from '../support/given.ts';
import { createEmptyDatabase } from '../support/postgres.ts';
import { bareRedis } from '../support/redis-store.ts';
import { startRedis, testRedisUrl, type TestRedis } from '../support/redis.ts';
import { publish, type VersionName } from '../support/storage/publish.ts';
import { openRegistry, openServerDatabase, type Registry } from '../support/storage/registry.ts';
import { until } from '../support/until.ts';
import { describePublishedContent, snapshotOf, type Stack } from './published-content.ts';

const NOBODY = 'postgresql://platen@127.0.0.1:1/platen';
const NO_REDIS = 'redis://127.0.0.1:1';
const QUIET = { replicaFailed: () => {} };
const MIB = 1024 * 1024;

type Publish = Stack['publish'];

/** What a stack is made of, closed in the opposite order. */
class Parts {
  readonly #closers: (() => Promise<void> | void)[] = [];

  async registry(): Promise<Registry> {
    const registry = await openRegistry();
    this.#closers.push(() => registry.close());
    return registry;
  }

  async reader(serverUrl: string, changes: Partial<DatabaseConfig> = {}): Promise<PublishedContent> {
    return batched(new PostgresPublishedContent((await this.database(serverUrl, changes)).access));
  }

  async database(serverUrl: string, changes: Partial<DatabaseConfig> = {}): Promise<Database> {
    const database = await openServerDatabase({ serverUrl }, { readOnly: true, ...changes });
    this.#closers.push(() => database.close());
    return database;
  }

  async emptyDatabase(): Promise<string> {
    const empty = await createEmptyDatabase();
    this.#closers.push(() => empty.drop());
    return empty.serverUrl;
  }

  redis(url: string): RedisStore {
    const redis = openRedisStore(url);
    this.#closers.push(() => redis.close());
    return redis;
  }

  readonly close = async (): Promise<void> => {
    for (const close of this.#closers.toReversed()) await close();
  };
}

/** Over a primary that has all. */
async function openStack(
  build: (parts: Parts, primary: PublishedContent, intoPrimary: Publish) => Promise<Omit<Stack, 'close'>>,
): Promise<Stack> {
  const parts = new Parts();
  const registry = await parts.registry();
  const primary = batched(new PostgresPublishedContent(registry.database.access));
  const intoPrimary: Publish = (snapshot, ...names) => publish(registry, snapshot, ...names);
  return { ...(await build(parts, primary, intoPrimary)), close: parts.close };
}

/** The keys of a snapshot and its names in Redis. */
function keysOf({ hash }: Document, names: readonly VersionName[]): string[] {
  return [`document:${hash}`, ...names.map((name) => `version:${name.tenant}:${name.bundleId}:${name.version}`)];
}

async function askFor(content: PublishedContent, { hash }: Document, names: readonly VersionName[]): Promise<void> {
  await content.document(hash);
  for (const { tenant, bundleId, version } of names) await content.versionHash(tenant, bundleId, version);
}

const STACKS: Readonly<Record<string, () => Promise<Stack>>> = {
  'PostgreSQL': () =>
    openStack(async (_parts, primary, intoPrimary) => ({ content: primary, publish: intoPrimary })),

  'a read replica that has all': () =>
    openStack(async (parts, primary, intoPrimary) => {
      const copy = await parts.registry();
      const replica = await parts.reader(copy.test.serverUrl);
      return {
        content: new ReplicaContent(replica, primary, QUIET),
        publish: async (snapshot, ...names) => {
          await intoPrimary(snapshot, ...names);
          await publish(copy, snapshot, ...names);
        },
      };
    }),

  'a read replica that lags': () =>
    openStack(async (parts, primary, intoPrimary) => {
      const replica = await parts.reader((await parts.registry()).test.serverUrl);
      return { content: new ReplicaContent(replica, primary, QUIET), publish: intoPrimary };
    }),

  'a read replica that is away': () =>
    openStack(async (parts, primary, intoPrimary) => ({
      content: new ReplicaContent(await parts.reader(NOBODY), primary, QUIET),
      publish: intoPrimary,
    })),

  'a read replica that has no tables yet': () =>
    openStack(async (parts, primary, intoPrimary) => ({
      content: new ReplicaContent(await parts.reader(await parts.emptyDatabase()), primary, QUIET),
      publish: intoPrimary,
    })),

  'Redis that is empty': () =>
    openStack(async (parts, primary, intoPrimary) => ({
      content: new RedisContent(parts.redis(await testRedisUrl()), primary, new ContentCounts()),
      publish: intoPrimary,
    })),

  'Redis that is warm': () =>
    openStack(async (parts, primary, intoPrimary) => {
      const redis = parts.redis(await testRedisUrl());
      const content = new RedisContent(redis, primary, new ContentCounts());
      return {
        content,
        publish: async (snapshot, ...names) => {
          await intoPrimary(snapshot, ...names);
          await askFor(content, snapshot, names);
          for (const key of keysOf(snapshot, names)) {
            await until('it is in Redis', async () => (await redis.get(key).catch(() => undefined)) !== undefined);
          }
        },
      };
    }),

  'Redis full of garbage': () =>
    openStack(async (parts, primary, intoPrimary) => {
      const redis = parts.redis(await testRedisUrl());
      return {
        content: new RedisContent(redis, primary, new ContentCounts()),
        publish: async (snapshot, ...names) => {
          await intoPrimary(snapshot, ...names);
          for (const [i, key] of keysOf(snapshot, names).entries()) {
            const garbage = [snapshotOf('somebody else').text, '', '\u0000\uFFFD', snapshot.hash];
            await redis.set(key, Buffer.from(garbage[i % garbage.length]!), 60);
          }
        },
      };
    }),

  'Redis that is away': () =>
    openStack(async (parts, primary, intoPrimary) => ({
      content: new RedisContent(parts.redis(NO_REDIS), primary, new ContentCounts()),
      publish: intoPrimary,
    })),

  'Redis, a read replica that lags, and the primary': () =>
    openStack(async (parts, primary, intoPrimary) => {
      const replica = await parts.reader((await parts.registry()).test.serverUrl);
      const beneath = new ReplicaContent(replica, primary, QUIET);
      return {
        content: new RedisContent(parts.redis(await testRedisUrl()), beneath, new ContentCounts()),
        publish: intoPrimary,
      };
    }),

  'Redis and a read replica that are both away, and the primary': () =>
    openStack(async (parts, primary, intoPrimary) => {
      const beneath = new ReplicaContent(await parts.reader(NOBODY), primary, QUIET);
      return { content: new RedisContent(parts.redis(NO_REDIS), beneath, new ContentCounts()), publish: intoPrimary };
    }),
};

/** Behind a guard, as all stores are asked. */
function batched(store: ContentStore): BatchedContent {
  const guard = new StoreGuard({
    store: 'postgres_reads',
    timeoutMs: 10_000,
    concurrency: 4,
    queueMax: 1_000,
    retryAfterMs: 50,
    observer: { state: () => {}, rejected: () => {} },
  });
  return new BatchedContent(store, guard);
}

for (const [name, open] of Object.entries(STACKS)) describePublishedContent(name, open);

/** All levels over real stores, each of which can be cut off. */
class Levels {
  readonly counts = new ContentCounts();
  /** Statements so far, those included that begin and end transactions. */
  readonly statements = { read_replica: 0, database: 0 };
  readonly #parts = new Parts();
  #redis!: TestRedis;
  #store!: RedisStore;
  #proxies!: { replica: DatabaseProxy; primary: DatabaseProxy };
  #registries!: { replica: Registry; primary: Registry };
  #content!: PublishedContent;

  static async open(): Promise<Levels> {
    const levels = new Levels();
    await levels.#open();
    return levels;
  }

  async #open(): Promise<void> {
    const parts = this.#parts;
    this.#redis = await startRedis();
    this.#store = parts.redis(this.#redis.url);
    this.#registries = { replica: await parts.registry(), primary: await parts.registry() };
    this.#proxies = {
      replica: await DatabaseProxy.start(this.#registries.replica.test),
      primary: await DatabaseProxy.start(this.#registries.primary.test),
    };
    const level = async (proxy: DatabaseProxy, name: 'read_replica' | 'database') => {
      const onQuery = (): void => void (this.statements[name] += 1);
      const content = await parts.reader(proxy.url, { readOnly: name === 'read_replica', onQuery });
      return new CountedContent(content, name, this.counts);
    };
    const replica = await level(this.#proxies.replica, 'read_replica');
    const primary = await level(this.#proxies.primary, 'database');
    this.#content = new RedisContent(this.#store, new ReplicaContent(replica, primary, QUIET), this.counts);
    await this.redisAnswers();
  }

  get content(): PublishedContent {
    return this.#content;
  }

  get redis(): TestRedis {
    return this.#redis;
  }

  get proxies(): { replica: DatabaseProxy; primary: DatabaseProxy } {
    return this.#proxies;
  }

  get bundles(): CompiledBundleCache {
    return new CompiledBundleCache(this.#content, this.counts, MIB);
  }

  get versions(): PinnedVersionCache {
    return new PinnedVersionCache(this.#content, this.counts, 100);
  }

  publish(where: 'replica' | 'primary', snapshot: Document, ...names: VersionName[]): Promise<void> {
    return publish(this.#registries[where], snapshot, ...names);
  }

  /** How often Redis was sent the command. */
  async redisCalls(command: string): Promise<number> {
    const bare = bareRedis(this.#redis.url);
    const stats = await bare.info('commandstats');
    bare.disconnect();
    return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
  }

  async redisAnswers(): Promise<void> {
    await until('Redis answers', () =>
      this.#store.get('nothing').then(
        () => true,
        () => false,
      ),
    );
  }

  async redisHolds(...keys: string[]): Promise<void> {
    for (const key of keys) {
      await until(`Redis holds ${key}`, async () => (await this.#store.get(key)) !== undefined);
    }
  }

  async damage(key: string): Promise<void> {
    await this.#store.set(key, Buffer.from('damaged'), 60);
  }

  /** Whether all stores are cut off from now on. */
  async cutOff(): Promise<void> {
    await this.#redis.kill();
    this.#proxies.replica.cut();
    this.#proxies.primary.cut();
  }

  async close(): Promise<void> {
    await this.#parts.close();
    for (const proxy of Object.values(this.#proxies)) await proxy.stop();
    await this.#redis.stop();
  }
}

const HELLO = snapshotOf('hello');
const HELLO_1 = { tenant: 'acme', bundleId: 'hello', version: '1.0.0' };
const CANDIDATES = [{ tenant: 'acme', versions: 1 }];

let levels: Levels;

function useLevels(): void {
  beforeEach(async () => {
    levels = await Levels.open();
  });

  afterEach(() => levels.close());
}

describe('A document falls through the levels', () => {
  useLevels();

  it('from Redis to the read replica to the primary, and each tells what it had', async () => {
    const { content, counts } = levels;
    await levels.publish('primary', HELLO, HELLO_1);
    assert.equal(await content.document(HELLO.hash), HELLO.text);
    const document = ['miss l2 document', 'miss read_replica document', 'hit database document'];
    assert.deepEqual(counts.told.splice(0), document);
    assert.equal(await content.versionHash('acme', 'hello', '1.0.0'), HELLO.hash);
    assert.deepEqual(counts.told.splice(0), ['miss l2 version', 'miss read_replica version', 'hit database version']);

    await levels.redisHolds(...keysOf(HELLO, [HELLO_1]));
    await askFor(content, HELLO, [HELLO_1]);
    assert.deepEqual(counts.told.splice(0), ['hit l2 document', 'hit l2 version']);
  });

  it('and the primary is not troubled with what the read replica has', async () => {
    const { content, counts } = levels;
    await levels.publish('replica', HELLO, HELLO_1);
    await askFor(content, HELLO, [HELLO_1]);
    assert.equal(counts.count('hit read_replica document'), 1);
    assert.equal(counts.count('hit read_replica version'), 1);
    assert.deepEqual(counts.told.filter((what) => what.includes(' database ')), []);
  });

  it('past Redis that is frozen, and a read replica that is cut off', async () => {
    await levels.publish('replica', HELLO);
    await levels.publish('primary', HELLO);
    levels.redis.pause();
    levels.proxies.replica.cut();
    assert.equal(await levels.content.document(HELLO.hash), HELLO.text);
    assert.equal(levels.counts.count('hit database document'), 1);
  });

  it('and what is lost is found again once a store is back', async () => {
    const { content } = levels;
    await levels.publish('primary', HELLO, HELLO_1);
    await levels.cutOff();
    await assert.rejects(content.document(HELLO.hash), Unavailable);
    await assert.rejects(content.versionHash('acme', 'hello', '1.0.0'), Unavailable);
    levels.proxies.primary.mend();
    await until('the primary answers', () =>
      content.versionHash('acme', 'hello', '1.0.0').then(
        (hash) => hash === HELLO.hash,
        () => false,
      ),
    );
    assert.equal(await content.document(HELLO.hash), HELLO.text);
    await levels.redis.restart();
    await levels.redisAnswers();
    await content.document(HELLO.hash);
    await levels.redisHolds(`document:${HELLO.hash}`);
  });
});

describe('One flight loads a key', () => {
  useLevels();

  it('100 who ask at once cost one read of each level', async () => {
    await levels.publish('primary', HELLO, HELLO_1);
    const { bundles, versions, counts } = levels;
    const all = await Promise.all(Array.from({ length: 100 }, async () => bundles.get(HELLO.hash)));
    assert.equal(new Set(all).size, 1);
    const found = await Promise.all(Array.from({ length: 100 }, () => versions.find(CANDIDATES, 'hello', '1.0.0')));
    assert.ok(found.every((one) => one?.bundleHash === HELLO.hash));
    for (const kind of ['document', 'version']) {
      assert.equal(counts.count(`miss l1 ${kind}`), 100);
      assert.equal(counts.count(`miss l2 ${kind}`), 1);
      assert.equal(counts.count(`miss read_replica ${kind}`), 1);
      assert.equal(counts.count(`hit database ${kind}`), 1);
    }
  });
});

describe('A batch looks up once', () => {
  useLevels();

  const documents = Array.from({ length: 16 }, (_, i) => snapshotOf(`of a batch: ${i}`));
  const names = documents.map((_, i) => ({ tenant: 'acme', bundleId: `bundle-${i}`, version: '1.0.0' }));
  const ask = {
    documents: () => Promise.all(documents.map(({ hash }) => levels.content.document(hash))),
    versions: () =>
      Promise.all(names.map(({ tenant, bundleId, version }) => levels.content.versionHash(tenant, bundleId, version))),
  };
  const right = {
    documents: documents.map(({ text }) => text),
    versions: documents.map(({ hash }) => hash),
  };
  const keys = {
    documents: documents.map(({ hash }) => `document:${hash}`),
    versions: names.map(({ tenant, bundleId, version }) => `version:${tenant}:${bundleId}:${version}`),
  };

  for (const what of ['documents', 'versions'] as const) {
    it(`16 ${what} in one turn are one round trip to Redis, and one statement on each database`, async () => {
      for (const [i, document] of documents.entries()) await levels.publish('primary', document, names[i]!);
      const before = await levels.redisCalls('mget');
      assert.deepEqual(await ask[what](), right[what]);
      assert.equal(await levels.redisCalls('mget'), before + 1);
      // A transaction that may only read is begun and ended by statements of its own.
      assert.deepEqual(levels.statements, { read_replica: 3, database: 1 });
      assert.equal(levels.counts.count(`hit database ${what.slice(0, -1)}`), 16);

      await levels.redisHolds(...keys[what]);
      const between = await levels.redisCalls('mget');
      assert.deepEqual(await ask[what](), right[what]);
      assert.equal(await levels.redisCalls('mget'), between + 1);
      assert.deepEqual(levels.statements, { read_replica: 3, database: 1 });
      assert.equal(levels.counts.count(`hit l2 ${what.slice(0, -1)}`), 16);
    });
  }

  it('only what the nearer level lacks is asked for beneath', async () => {
    const [first, ...others] = documents as [Document, ...Document[]];
    await levels.publish('replica', first);
    for (const document of others) await levels.publish('primary', document);
    assert.deepEqual(await ask.documents(), right.documents);
    assert.deepEqual(levels.statements, { read_replica: 3, database: 1 });
    assert.equal(levels.counts.count('hit read_replica document'), 1);
    assert.equal(levels.counts.count('hit database document'), 15);
    assert.equal(levels.counts.count('miss database document'), 0);
  });

  it('one that is damaged in Redis is asked for beneath, and the others are not', async () => {
    const [damaged, ...others] = documents as [Document, ...Document[]];
    for (const document of documents) await levels.publish('primary', document);
    await ask.documents();
    await levels.redisHolds(...keys.documents);
    await levels.damage(`document:${damaged.hash}`);
    levels.counts.told.length = 0;
    assert.deepEqual(await ask.documents(), right.documents);
    assert.equal(levels.counts.count('corrupt document'), 1);
    assert.equal(levels.counts.count('hit l2 document'), others.length);
    assert.equal(levels.counts.count('hit database document'), 1);
  });

  it('what Redis holds is answered, and the rest fails, while the databases are away', async () => {
    const [held, lost] = documents as [Document, Document];
    await levels.publish('primary', held);
    await levels.content.document(held.hash);
    await levels.redisHolds(`document:${held.hash}`);
    levels.proxies.replica.cut();
    levels.proxies.primary.cut();
    const [found, failed] = await Promise.allSettled([
      levels.content.document(held.hash),
      levels.content.document(lost.hash),
    ]);
    assert.deepEqual(found, { status: 'fulfilled', value: held.text });
    assert.ok(failed.status === 'rejected' && failed.reason instanceof Unavailable);
  });
});

describe('A hit touches no store', () => {
  useLevels();

  it('and answers at once though all of them are away', async () => {
    await levels.publish('primary', HELLO, HELLO_1);
    const { bundles, versions, counts } = levels;
    const first = await bundles.get(HELLO.hash);
    await versions.find(CANDIDATES, 'hello', '1.0.0');
    await levels.cutOff();
    counts.told.length = 0;
    assert.equal(bundles.get(HELLO.hash), first);
    assert.deepEqual(await versions.find(CANDIDATES, 'hello', '1.0.0'), { tenant: 'acme', bundleHash: HELLO.hash });
    assert.deepEqual(counts.told, ['hit l1 document', 'hit l1 version']);
  });
});

describe('Every stack keeps the same contract', () => {
  useLevels();

  it('the first level answers what the levels beneath it answer', async () => {
    await levels.publish('primary', HELLO, HELLO_1);
    const { bundles, versions, content } = levels;
    for (let count = 0; count < 3; count += 1) {
      const beneath = compileBundle({ hash: HELLO.hash, text: (await content.document(HELLO.hash))! });
      const bundle = await bundles.get(HELLO.hash);
      assert.deepEqual(bundle.assemble(given(), new Map()), beneath.assemble(given(), new Map()));
      assert.equal(
        (await versions.find(CANDIDATES, 'hello', '1.0.0'))?.bundleHash,
        await content.versionHash('acme', 'hello', '1.0.0'),
      );
      assert.equal(await versions.find(CANDIDATES, 'hello', '2.0.0'), undefined);
    }
  });

  it('and what was missing there is found in it once it is there', async () => {
    const { bundles, versions } = levels;
    await assert.rejects(async () => bundles.get(HELLO.hash), Unavailable);
    assert.equal(await versions.find(CANDIDATES, 'hello', '1.0.0'), undefined);
    await levels.publish('primary', HELLO, HELLO_1);
    assert.equal((await bundles.get(HELLO.hash)).assemble(given(), new Map()).text, 'hello');
    const more = [{ tenant: 'acme', versions: 2 }];
    assert.deepEqual(await versions.find(more, 'hello', '1.0.0'), { tenant: 'acme', bundleHash: HELLO.hash });
  });
});

describe('Loads from the database are bounded', () => {
  it('500 documents that are rendered at once after a start take 4 connections, and all arrive', async () => {
    const parts = new Parts();
    const registry = await parts.registry();
    const documents = Array.from({ length: 500 }, (_, i) => snapshotOf(`document ${i}`));
    await registry.write(async (tx) => {
      for (const document of documents) await tx.putDocument(document);
    });
    const database = new PostgresPublishedContent((await parts.database(registry.test.serverUrl)).access);
    let running = 0;
    let most = 0;
    const watched: ContentStore = {
      documents: async (hashes) => {
        running += 1;
        most = Math.max(most, running);
        return database.documents(hashes).finally(() => {
          running -= 1;
        });
      },
      versionHashes: (names) => database.versionHashes(names),
    };
    const bundles = new CompiledBundleCache(batched(watched), new ContentCounts(), 64 * MIB);
    const all = await Promise.all(documents.map(async ({ hash }) => bundles.get(hash)));
    assert.deepEqual(
      all.map((bundle) => bundle.assemble(given(), new Map()).text),
      documents.map((_, i) => `document ${i}`),
    );
    assert.equal(most, 4);
    const sessions = await registry.database.access((em) =>
      em.execute<{ count: string }[]>(
        `select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
      ),
    );
    assert.ok(Number(sessions[0]!.count) <= 4 + 1);
    await parts.close();
  });
});
