import assert from 'node:assert/strict';
import { type RedisAddress, parseRedisUrl } from '../../../src/cache/redis-address.ts';

const PLAIN: RedisAddress = {
  mode: 'single',
  tls: false,
  credentials: undefined,
  sentinelCredentials: undefined,
  hosts: [{ host: 'redis', port: 6_379 }],
  master: '',
  database: 0,
};

describe('Redis may be one server, Sentinel or Cluster', () => {
  const addresses: Record<string, Partial<RedisAddress>> = {
    'redis://redis': {},
    'redis://redis/': {},
    'redis://redis:6380/3': { hosts: [{ host: 'redis', port: 6_380 }], database: 3 },
    'redis://127.0.0.1:1': { hosts: [{ host: '127.0.0.1', port: 1 }] },
    'redis://[fd00::7]:6380': { hosts: [{ host: 'fd00::7', port: 6_380 }] },
    'redis://[::1]': { hosts: [{ host: '::1', port: 6_379 }] },
    'rediss://redis': { tls: true },
    'redis://:secret@redis': { credentials: { username: undefined, password: 'secret' } },
    'redis://app:secret@redis': { credentials: { username: 'app', password: 'secret' } },
    'redis://app:p%40ss%3A%2F@redis': { credentials: { username: 'app', password: 'p@ss:/' } },
    'redis://app:se:cr@et@redis': { credentials: { username: 'app', password: 'se:cr@et' } },
    'redis+sentinel://one,two:26380/main': {
      mode: 'sentinel',
      hosts: [{ host: 'one', port: 26_379 }, { host: 'two', port: 26_380 }],
      master: 'main',
    },
    'rediss+sentinel://app:secret@redis:26379/main/5?sentinelUsername=guard&sentinelPassword=s%26cret': {
      mode: 'sentinel',
      tls: true,
      credentials: { username: 'app', password: 'secret' },
      sentinelCredentials: { username: 'guard', password: 's&cret' },
      hosts: [{ host: 'redis', port: 26_379 }],
      master: 'main',
      database: 5,
    },
    'redis+sentinel://redis:26379/main/?sentinelPassword=secret': {
      mode: 'sentinel',
      sentinelCredentials: { username: undefined, password: 'secret' },
      hosts: [{ host: 'redis', port: 26_379 }],
      master: 'main',
    },
    'redis+cluster://one:7000,two': {
      mode: 'cluster',
      hosts: [{ host: 'one', port: 7_000 }, { host: 'two', port: 6_379 }],
    },
    'rediss+cluster://:secret@redis/': {
      mode: 'cluster',
      tls: true,
      credentials: { username: undefined, password: 'secret' },
    },
  };

  for (const [url, address] of Object.entries(addresses)) {
    it(`as ${url}`, () => assert.deepEqual(parseRedisUrl(url), { ...PLAIN, ...address }));
  }

  const forms =
    'must be redis://user:password@host:6379/0, redis+sentinel://host:26379,host:26379/master-name/0 or ' +
    'redis+cluster://host:6379,host:6379; with TLS rediss…';
  const user = 'has a user without a password: it takes user:password@ or :password@';
  const mistakes: Record<string, string> = {
    redis: forms,
    'http://redis': forms,
    'redis+proxy://redis': forms,
    'redis://redis#1': forms,
    'redis://': 'lacks host 1',
    'redis://redis:': 'has as host 1 what is not host:port',
    'redis://redis:0': 'has as host 1 what is not host:port',
    'redis://redis:65536': 'has as host 1 what is not host:port',
    'redis://::1': 'has as host 1 what is not host:port',
    'redis://redis/one': 'has a database that is not a number',
    'redis://redis/1/2': 'has a database that is not a number',
    'redis://one,two': 'has several hosts, which takes redis+sentinel:// or redis+cluster://',
    'redis://redis?db=1': 'has parameters that are not known',
    'redis://app@redis': user,
    'redis://app:@redis': user,
    'redis://@redis': user,
    'redis://app:50%@redis': 'has a user or password that is not percent-encoded',
    'redis://50%:secret@redis': 'has a user or password that is not percent-encoded',
    'redis+sentinel://one/my%20master':
      "has a master's name with other characters than letters, digits, '.', '_' and '-'",
    'redis+sentinel://one/main?sentinelUsername=guard': 'has sentinelUsername without sentinelPassword',
    'redis+cluster://one?sentinelPassword=secret': 'has parameters that are not known',
    'redis+cluster://one/0': "has a path, but a Cluster has neither databases nor a master's name",
  };

  for (const [url, message] of Object.entries(mistakes)) {
    it(`but not as ${url}`, () => assert.throws(() => parseRedisUrl(url), { message }));
  }

  it('and all mistakes are named, without what may be a password', () => {
    const url = 'redis+sentinel://app@one:x,,two/?secret';
    assert.throws(() => parseRedisUrl(url), {
      message:
        `${user}; has as host 1 what is not host:port; lacks host 2; ` +
        "lacks the master's name: redis+sentinel://host:26379/master-name; has parameters that are not known",
    });
    assert.throws(() => parseRedisUrl('redis://:sec/ret@redis'), ({ message }: Error) => !/sec|ret/.test(message));
  });
});
