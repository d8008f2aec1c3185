import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { ConfigError, loadConfig } from '../../src/config.ts';

function problems(environment: Record<string, string>): readonly string[] {
  try {
    loadConfig(environment);
  } catch (error) {
    assert(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

describe('Configuration is checked at start', () => {
  it('has a default for everything', () => {
    assert.deepEqual(loadConfig({}), {
      grpcAddress: '127.0.0.1:50051',
      httpAddress: '127.0.0.1:8080',
      databaseUrl: undefined,
      databaseOwnerUrl: undefined,
      databaseDirectUrl: undefined,
      databaseReadUrl: undefined,
      databasePoolMax: 10,
      databasePoolWaitMs: 5_000,
      redisUrl: undefined,
      redisPrefix: '',
      dataDir: '.platen',
      auditAck: 'journal',
      auditOnFailure: 'serve',
      auditJournalDir: '.platen/journal',
      auditJournalBytes: 1_073_741_824,
      migrateOnStart: true,
      bundleCacheBytes: 268_435_456,
      workers: 1,
      connectionAgeMs: 300_000,
      drainTimeoutMs: 25_000,
      logLevel: 'info',
    });
  });

  it('reads every setting, and gives one frozen object', () => {
    const config = loadConfig({
      PLATEN_GRPC_ADDR: '[::1]:0',
      PLATEN_HTTP_ADDR: 'platen.internal:80',
      PLATEN_DATABASE_URL: 'postgresql://app@db/platen',
      PLATEN_DATABASE_OWNER_URL: 'postgres://owner@db/platen',
      PLATEN_DATABASE_DIRECT_URL: 'postgres://app@direct/platen',
      PLATEN_DATABASE_READ_URL: 'postgres://app@near/platen',
      PLATEN_DATABASE_POOL_MAX: '25',
      PLATEN_DATABASE_POOL_WAIT_MS: '250',
      PLATEN_REDIS_URL: 'rediss+sentinel://app:secret@one,two:26380/main/2',
      PLATEN_REDIS_PREFIX: 'platen:',
      PLATEN_DATA_DIR: '/var/lib/platen',
      PLATEN_AUDIT_ACK: 'database',
      PLATEN_AUDIT_ON_FAILURE: 'refuse',
      PLATEN_AUDIT_JOURNAL_DIR: '/journal',
      PLATEN_AUDIT_JOURNAL_BYTES: '67108864',
      PLATEN_MIGRATE_ON_START: 'false',
      PLATEN_BUNDLE_CACHE_BYTES: '1000000',
      PLATEN_WORKERS: '4',
      PLATEN_CONNECTION_AGE_MS: '0',
      PLATEN_DRAIN_TIMEOUT_MS: '0',
      PLATEN_LOG_LEVEL: 'warn',
    });
    assert.deepEqual(config, {
      grpcAddress: '[::1]:0',
      httpAddress: 'platen.internal:80',
      databaseUrl: 'postgresql://app@db/platen',
      databaseOwnerUrl: 'postgres://owner@db/platen',
      databaseDirectUrl: 'postgres://app@direct/platen',
      databaseReadUrl: 'postgres://app@near/platen',
      databasePoolMax: 25,
      databasePoolWaitMs: 250,
      redisUrl: 'rediss+sentinel://app:secret@one,two:26380/main/2',
      redisPrefix: 'platen:',
      dataDir: '/var/lib/platen',
      auditAck: 'database',
      auditOnFailure: 'refuse',
      auditJournalDir: '/journal',
      auditJournalBytes: 67_108_864,
      migrateOnStart: false,
      bundleCacheBytes: 1_000_000,
      workers: 4,
      connectionAgeMs: 0,
      drainTimeoutMs: 0,
      logLevel: 'warn',
    });
    assert(Object.isFrozen(config));
  });

  it('keeps the journal with the other data unless a place is named', () => {
    assert.equal(loadConfig({ PLATEN_DATA_DIR: '/data' }).auditJournalDir, '/data/journal');
  });

  it('takes as many workers as the machine runs at once, if told so', () => {
    assert.equal(loadConfig({ PLATEN_WORKERS: 'auto' }).workers, availableParallelism());
  });

  it('takes an empty variable for an absent one', () => {
    assert.equal(loadConfig({ PLATEN_GRPC_ADDR: '', PLATEN_DATABASE_URL: '' }).grpcAddress, '127.0.0.1:50051');
  });

  it('names every problem at once', () => {
    assert.deepEqual(
      problems({
        PLATEN_GRPC_ADDR: '127.0.0.1',
        PLATEN_HTTP_ADDR: 'host:70000',
        PLATEN_DATABASE_OWNER_URL: 'mysql://db/platen',
        PLATEN_DATABASE_DIRECT_URL: 'postgres://db/platen',
        PLATEN_DATABASE_READ_URL: 'postgres://db/platen',
        PLATEN_DATABASE_POOL_MAX: '0',
        PLATEN_REDIS_URL: 'redis+sentinel://host',
        PLATEN_WORKERS: '0',
        PLATEN_CONNECTION_AGE_MS: '-1',
        PLATEN_DRAIN_TIMEOUT_MS: '1s',
        PLATEN_AUDIT_ACK: 'memory',
        PLATEN_AUDIT_ON_FAILURE: 'ignore',
        PLATEN_AUDIT_JOURNAL_BYTES: '67108863',
        PLATEN_MIGRATE_ON_START: 'yes',
        PLATEN_LOG_LEVEL: 'loud',
      }),
      [
        'PLATEN_GRPC_ADDR: must be host:port, as 127.0.0.1:50051 or [::1]:50051',
        'PLATEN_HTTP_ADDR: must be host:port, as 127.0.0.1:50051 or [::1]:50051',
        'PLATEN_DATABASE_OWNER_URL: must be a URL as postgresql://user:password@host:5432/database',
        'PLATEN_DATABASE_POOL_MAX: must be a whole number from 1 to 1000',
        "PLATEN_REDIS_URL: lacks the master's name: redis+sentinel://host:26379/master-name",
        'PLATEN_AUDIT_ACK: must be one of journal, fsync, database',
        'PLATEN_AUDIT_ON_FAILURE: must be one of serve, refuse',
        'PLATEN_AUDIT_JOURNAL_BYTES: must be a whole number from 67108864 to 9007199254740991',
        'PLATEN_MIGRATE_ON_START: must be true or false',
        'PLATEN_WORKERS: must be auto, or a whole number from 1 to 256',
        'PLATEN_CONNECTION_AGE_MS: must be a whole number from 0 to 86400000',
        'PLATEN_DRAIN_TIMEOUT_MS: must be a whole number from 0 to 3600000',
        'PLATEN_LOG_LEVEL: must be one of trace, debug, info, warn, error, fatal, silent',
        'PLATEN_DATABASE_URL: is required with ' +
          'PLATEN_DATABASE_OWNER_URL, PLATEN_DATABASE_DIRECT_URL, PLATEN_DATABASE_READ_URL',
      ],
    );
  });

  it('says what is wrong in its message', () => {
    assert.throws(() => loadConfig({ PLATEN_DATABASE_POOL_MAX: 'x' }), {
      name: 'ConfigError',
      message: 'the configuration is not valid:\n  PLATEN_DATABASE_POOL_MAX: must be a whole number from 1 to 1000',
    });
  });

  it('refuses a setting that does not exist, and lists those that do', () => {
    const [problem, ...others] = problems({ PLATEN_GRPC_ADRR: '127.0.0.1:1' });
    assert.match(problem!, /^PLATEN_GRPC_ADRR: is not a setting; there are PLATEN_GRPC_ADDR, /);
    assert.deepEqual(others, []);
  });

  it('leaves alone what the client, tests, workers and Kubernetes set', () => {
    const environment = {
      PLATEN_SERVER: 'http://127.0.0.1:50051',
      PLATEN_WORKER_SEAT: '{}',
      PLATEN_AUDIT_SIGNING_KEY: '/keys/audit.pem',
      PLATEN_TEST_DATABASE_URL: 'postgres://localhost/test',
      PLATEN_SERVICE_HOST: '10.0.0.1',
      PLATEN_SERVICE_PORT_GRPC: '50051',
      PLATEN_PORT: 'tcp://10.0.0.1:50051',
      PLATEN_PORT_50051_TCP_ADDR: '10.0.0.1',
      PLATEN_HTTP_SERVICE_HOST: '10.0.0.2',
    };
    assert.deepEqual(problems(environment), []);
  });
});
