import { randomBytes } from 'node:crypto';
import { after } from 'mocha';
import { startRedis, type TestRedis } from './redis-server.ts';

export { startRedis, type TestRedis };

let shared: Promise<TestRedis> | undefined;

/** The server that PLATEN_TEST_REDIS_URL names, else one for this process; suites keep apart by `keyPrefix`. */
export async function testRedisUrl(): Promise<string> {
  const url = process.env['PLATEN_TEST_REDIS_URL'];
  if (url) return url;
  shared ??= startRedis();
  return (await shared).url;
}

/** Begins the keys of one suite and of no other. */
export function keyPrefix(): string {
  return `test-${randomBytes(6).toString('hex')}:`;
}

// A hook of the root suite: it runs once, after the suites of all files.
after(async () => {
  await (await shared)?.stop();
});
