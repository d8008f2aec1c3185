import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LoadResult, LoadTarget } from './load.ts';
import { framed, PREFIX_BYTES } from './message.ts';

const run = promisify(execFile);
const PER_SECOND = { s: 1, ms: 1_000, us: 1_000_000 } as const;

/** Whether h2load (of nghttp2) is on the PATH. */
export async function hasH2load(): Promise<boolean> {
  try {
    await run('h2load', ['--version']);
    return true;
  } catch {
    return false;
  }
}

/** Whether h2load can make these calls: it knows no streams, and sends one message. */
export function suitsH2load(target: LoadTarget): boolean {
  return target.stream === undefined && target.messages.length === 1;
}

/**
 * What `closedLoop` promises, by h2load. It does not connect again: what it did not call after the server let go of a
 * connection shows as errors, so that connections have to live for longer than the run.
 *
 * @throws Error if there is no server, or h2load says something else than expected
 */
export async function h2loadClosedLoop(
  target: LoadTarget,
  { seconds, connections, inFlight }: { seconds: number; connections: number; inFlight: number },
): Promise<LoadResult> {
  const directory = await mkdtemp(join(tmpdir(), 'h2load-'));
  try {
    const data = join(directory, 'request');
    await writeFile(data, framed(target.messages[0]!));
    const amounts = [`-c${connections}`, `-m${inFlight}`, `-D${Math.round(seconds * 1000)}ms`];
    const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
    const url = `http://${target.address}${target.path}`;
    const { stdout } = await run('h2load', [...amounts, ...headers, '-d', data, url]);
    return readH2load(stdout, target.leastAnswerBytes);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/**
 * Reads what h2load prints. It takes an error of gRPC, which has status 200 and no message, for a success: of the calls
 * that it thinks well of, no more count as answered than the bytes of data that it got are enough for. A few errors
 * hide where answers are longer than the least; an open loop looks at each.
 *
 * @throws Error if it made no call, or the text is not h2load's
 */
export function readH2load(output: string, leastAnswerBytes: number): LoadResult {
  const [, took, unit] = field(output, /^finished in ([\d.]+)(us|ms|s),/m);
  const [, done, succeeded] = field(output, /^requests: .* (\d+) done, (\d+) succeeded/m).map(Number);
  const [, dataBytes] = field(output, /^traffic: .* \((\d+)\) data$/m).map(Number);
  if (done === 0) throw new Error(`h2load made no call:\n${output}`);
  const calls = Math.min(succeeded!, Math.floor(dataBytes! / (PREFIX_BYTES + leastAnswerBytes)));
  const seconds = Number(took) / PER_SECOND[unit as keyof typeof PER_SECOND];
  return { calls, seconds, errors: done! - calls, generator: 'h2load' };
}

function field(output: string, pattern: RegExp): RegExpExecArray {
  const match = pattern.exec(output);
  if (match === null) throw new Error(`h2load printed nothing like ${pattern}:\n${output}`);
  return match;
}
