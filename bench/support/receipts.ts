import { randomBytes } from 'node:crypto';
import { canonicalJson, sha256 } from '../../src/domain/document.ts';
import type { JournaledReceipt } from '../../src/services/trail.ts';

/** How many of each there are; receipts are spread over them. */
export const TENANTS = 20;
export const BUNDLES = 200;
export const PERSONALITIES = 50;
export const CALLERS = 10;

/** Receipts of each of these many have one request id, as a caller's session. */
export const RENDERS_A_REQUEST = 5;

const bundleHashes = Array.from({ length: BUNDLES }, (_, n) => sha256(`bundle ${n}`));
const personalityHashes = Array.from({ length: PERSONALITIES }, (_, n) => sha256(`personality ${n}`));
const constraintsHash = sha256('[]');
const placeholdersHash = sha256('{}');

export function tenantOf(n: number): string {
  return `brand-${n % TENANTS}`;
}

export function bundleIdOf(n: number): string {
  return `bundle-${bundleOf(n)}`;
}

export function bundleHashOf(n: number): string {
  return bundleHashes[bundleOf(n)]!;
}

export function personalityHashOf(n: number): string {
  return personalityHashes[bundleOf(n) % PERSONALITIES]!;
}

export function callerOf(n: number): string {
  return `service-${n % CALLERS}@platform.example`;
}

/** Every other receipt has one. */
export function requestIdOf(n: number): string {
  return n % 2 === 0 ? '' : `session-${Math.floor(n / (2 * RENDERS_A_REQUEST))}-4f1c9a`;
}

export function labelsOf(n: number): Record<string, string> {
  return { app: `app-${n % 7}`, conversation: `c-${Math.floor(n / 20)}` };
}

/** Some bundles are rendered much more often than others. */
function bundleOf(n: number): number {
  const spread = (n * 7_919) % (BUNDLES * BUNDLES);
  return Math.floor(spread ** 2 / BUNDLES ** 3) % BUNDLES;
}

/**
 * Receipts as a platform with many brands leaves them, in ascending order of time, evenly over a span. Each has
 * captured values of about 500 bytes. Two calls give the same, but for the random bits of the render ids.
 */
export function* syntheticReceipts(count: number, start: Date, end: Date): Generator<JournaledReceipt> {
  const step = (end.getTime() - start.getTime()) / count;
  for (let n = 0; n < count; n += 1) yield syntheticReceipt(n, new Date(Math.floor(start.getTime() + n * step)));
}

export function syntheticReceipt(n: number, time: Date): JournaledReceipt {
  const variables = variablesOf(n);
  return {
    receipt: {
      renderId: renderIdAt(time),
      time,
      durationUs: 80 + (n % 400),
      requestedTenant: tenantOf(n),
      requestedBundleId: bundleIdOf(n),
      requestedVersion: '',
      requestedType: '',
      capturePolicy: 'VARIABLES',
      tenant: 'default',
      bundleId: bundleIdOf(n),
      version: '1.4.0',
      channel: 'production',
      revision: 7,
      seq: 1_234 + Math.floor(n / 10_000),
      source: 'INHERITED',
      renderedHash: distinctHash('text', n),
      bundleHash: bundleHashOf(n),
      personalityHash: personalityHashOf(n),
      constraintsHash,
      variablesHash: sha256(canonicalJson(variables)),
      placeholdersHash,
      messagesHash: distinctHash('messages', n),
      rendererVersion: 2,
      caller: callerOf(n),
      requestId: requestIdOf(n),
      labels: labelsOf(n),
      traceId: n % 4 === 0 ? sha256(`trace ${n}`).slice(0, 32) : '',
    },
    inputs: { variables },
  };
}

function distinctHash(what: string, n: number): string {
  return sha256(`${what} ${n}`);
}

function variablesOf(n: number) {
  return {
    customer: { name: `Ada Lovelace ${n}`, tier: n % 3 === 0 ? 'gold' : 'standard', since: 2019 },
    order: { id: `A-${100_000 + n}`, total: 129.9, currency: 'EUR', items: ['lamp', 'shade', 'bulb (warm white)'] },
    question: 'The lamp arrived with a broken shade. May I send only the shade back, and how long will a new one take?',
    locale: 'en-GB',
    channel: 'chat',
    weekday: 'Tuesday',
    agent: 'Robin',
    policy: 'Returns are free within 30 days. Broken goods are replaced at once, without being sent back.',
  };
}

/** A UUIDv7 (RFC 9562) of a given time. */
function renderIdAt(time: Date): string {
  const milliseconds = time.getTime().toString(16).padStart(12, '0');
  const random = randomBytes(10);
  random[0] = 0x70 | (random[0]! & 0x0f);
  random[2] = 0x80 | (random[2]! & 0x3f);
  return (milliseconds + random.toString('hex')).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
