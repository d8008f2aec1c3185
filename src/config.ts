import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseRedisUrl } from './cache/redis-address.ts';
import {
  ACKNOWLEDGEMENTS,
  RECEIPT_POLICIES,
  type Acknowledgement,
  type ReceiptPolicy,
} from './services/receipt-policy.ts';
import { LOG_LEVELS, type LogLevel } from './telemetry/logger.ts';

/**
 * The server's configuration: environment variables, and flags of the same meaning, become one frozen object. It is
 * checked once, at the start; every problem is named.
 */

export interface Config {
  /** gRPC, as `host:port`; an IPv6 host in brackets, port 0 for a free one. */
  readonly grpcAddress: string;
  /** Connect, gRPC-Web, JSON, metrics and probes; likewise. */
  readonly httpAddress: string;
  /** Undefined: a PostgreSQL of its own in `dataDir`. */
  readonly databaseUrl: string | undefined;
  /** The role that owns the tables and migrates them. */
  readonly databaseOwnerUrl: string | undefined;
  /** For LISTEN and session locks, where `databaseUrl` goes through a pooler. */
  readonly databaseDirectUrl: string | undefined;
  /** A read replica, for published content. */
  readonly databaseReadUrl: string | undefined;
  readonly databasePoolMax: number;
  /** Longest wait for a connection of the pool, in milliseconds. */
  readonly databasePoolWaitMs: number;
  /** Undefined: no second level. */
  readonly redisUrl: string | undefined;
  /** Begins every key in Redis. */
  readonly redisPrefix: string;
  readonly dataDir: string;
  /** What a receipt survives whose render was answered. */
  readonly auditAck: Acknowledgement;
  /** What becomes of a render whose receipt is not kept so. */
  readonly auditOnFailure: ReceiptPolicy;
  /** Holds the receipts that are not in the database yet. */
  readonly auditJournalDir: string;
  /** Bound on the journal of this server, in bytes. */
  readonly auditJournalBytes: number;
  /** Whether `serve` brings the database up to date before it serves. */
  readonly migrateOnStart: boolean;
  /** Bound on compiled snapshots in memory, in bytes. */
  readonly bundleCacheBytes: number;
  /** Processes that `serve` on the same addresses. */
  readonly workers: number;
  /** After this time a gRPC connection is closed once its calls are done, in milliseconds; 0: never. */
  readonly connectionAgeMs: number;
  /** Longest wait for requests in flight on SIGTERM, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
}

/** What is wrong with the configuration, every problem at once. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** What is wrong with one setting. */
class Problem {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * The names of the variables that `loadConfig` reads; any other `PLATEN_…` is a mistake, but for those of
 * the client, of tests, of a worker, and those that Kubernetes makes of a service called platen.
 */
const OF_OTHERS = /^PLATEN_(TEST_|SERVER$|WORKER_SEAT$|AUDIT_SIGNING_KEY$|(.*_)?SERVICE_|(.*_)?PORT(_|$))/;

const DATA_DIR = '.platen';
const GIB = 1024 ** 3;
const DAY_MS = 86_400_000;
const WORKERS_MAX = 256;

/** @throws ConfigError */
export function loadConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const known = new Set<string>();

  const read = <T>(name: string, fallback: T, parse: (text: string) => T | Problem): T => {
    known.add(name);
    const text = environment[name];
    if (text === undefined || text === '') return fallback;
    const parsed = parse(text);
    if (!(parsed instanceof Problem)) return parsed;
    problems.push(`${name}: ${parsed.text}`);
    return fallback;
  };

  const journalDir = join(environment['PLATEN_DATA_DIR'] || DATA_DIR, 'journal');
  const config: Config = Object.freeze({
    grpcAddress: read('PLATEN_GRPC_ADDR', '127.0.0.1:50051', address),
    httpAddress: read('PLATEN_HTTP_ADDR', '127.0.0.1:8080', address),
    databaseUrl: read('PLATEN_DATABASE_URL', undefined, databaseUrl),
    databaseOwnerUrl: read('PLATEN_DATABASE_OWNER_URL', undefined, databaseUrl),
    databaseDirectUrl: read('PLATEN_DATABASE_DIRECT_URL', undefined, databaseUrl),
    databaseReadUrl: read('PLATEN_DATABASE_READ_URL', undefined, databaseUrl),
    databasePoolMax: read('PLATEN_DATABASE_POOL_MAX', 10, wholeNumber(1, 1_000)),
    databasePoolWaitMs: read('PLATEN_DATABASE_POOL_WAIT_MS', 5_000, wholeNumber(1, 600_000)),
    redisUrl: read('PLATEN_REDIS_URL', undefined, redisUrl),
    redisPrefix: read('PLATEN_REDIS_PREFIX', '', (text) => text),
    dataDir: read('PLATEN_DATA_DIR', DATA_DIR, (text) => text),
    auditAck: read('PLATEN_AUDIT_ACK', 'journal', oneOf(ACKNOWLEDGEMENTS)),
    auditOnFailure: read('PLATEN_AUDIT_ON_FAILURE', 'serve', oneOf(RECEIPT_POLICIES)),
    auditJournalDir: read('PLATEN_AUDIT_JOURNAL_DIR', journalDir, (text) => text),
    auditJournalBytes: read('PLATEN_AUDIT_JOURNAL_BYTES', GIB, wholeNumber(GIB / 16, Number.MAX_SAFE_INTEGER)),
    migrateOnStart: read('PLATEN_MIGRATE_ON_START', true, trueOrFalse),
    bundleCacheBytes: read('PLATEN_BUNDLE_CACHE_BYTES', 256 * 1024 * 1024, wholeNumber(1, Number.MAX_SAFE_INTEGER)),
    workers: read('PLATEN_WORKERS', 1, workers),
    connectionAgeMs: read('PLATEN_CONNECTION_AGE_MS', 300_000, wholeNumber(0, DAY_MS)),
    drainTimeoutMs: read('PLATEN_DRAIN_TIMEOUT_MS', 25_000, wholeNumber(0, 3_600_000)),
    logLevel: read('PLATEN_LOG_LEVEL', 'info', oneOf(LOG_LEVELS)),
  });

  const needMain = ['PLATEN_DATABASE_OWNER_URL', 'PLATEN_DATABASE_DIRECT_URL', 'PLATEN_DATABASE_READ_URL'];
  const alone = config.databaseUrl ? [] : needMain.filter((name) => environment[name]);
  if (alone.length > 0) problems.push(`PLATEN_DATABASE_URL: is required with ${alone.join(', ')}`);
  for (const name of Object.keys(environment)) {
    if (name.startsWith('PLATEN_') && !known.has(name) && !OF_OTHERS.test(name)) {
      problems.push(`${name}: is not a setting; there are ${[...known].join(', ')}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function address(text: string): string | Problem {
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(text);
  if (match && Number(match[1]) <= 65_535) return text;
  return new Problem('must be host:port, as 127.0.0.1:50051 or [::1]:50051');
}

function databaseUrl(text: string): string | undefined | Problem {
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) return text;
  return new Problem('must be a URL as postgresql://user:password@host:5432/database');
}

function redisUrl(text: string): string | undefined | Problem {
  try {
    parseRedisUrl(text);
    return text;
  } catch (error) {
    return new Problem((error as Error).message);
  }
}

function oneOf<T extends string>(names: readonly T[]): (text: string) => T | Problem {
  return (text) => names.find((name) => name === text) ?? new Problem(`must be one of ${names.join(', ')}`);
}

function wholeNumber(min: number, max: number): (text: string) => number | Problem {
  return (text) => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    return number >= min && number <= max ? number : new Problem(`must be a whole number from ${min} to ${max}`);
  };
}

/** As many as the machine runs at once, where it is told to find out itself. */
function workers(text: string): number | Problem {
  const number = text === 'auto' ? availableParallelism() : wholeNumber(1, WORKERS_MAX)(text);
  return typeof number === 'number' ? number : new Problem(`must be auto, or a whole number from 1 to ${WORKERS_MAX}`);
}

function trueOrFalse(text: string): boolean | Problem {
  if (text === 'true' || text === 'false') return text === 'true';
  return new Problem('must be true or false');
}
