import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { Driver, type Plan } from '../../../../bench/load/driver.ts';
import { openLoop, type LoadTarget } from '../../../../bench/load/load.ts';
import type { TallyReport } from '../../../../bench/load/tally.ts';
import { answer, answerSome, fail, ScriptedServer, type Script } from '../../../support/scripted-http2-server.ts';

const ANSWER = Buffer.alloc(100);
const UNAVAILABLE = 14;
const INTERNAL = 13;

describe('The bench drives real gRPC and compares with a no-op call', () => {
  let server: ScriptedServer;

  afterEach(() => server.close());

  async function target(script: Script, more: Partial<LoadTarget> = {}): Promise<LoadTarget> {
    server = new ScriptedServer(script);
    const address = await server.listen();
    return { address, path: '/s.S/Call', messages: [Buffer.alloc(16)], leastAnswerBytes: ANSWER.length, ...more };
  }

  async function drive(plan: Pick<Plan, 'target'> & Partial<Plan>): Promise<TallyReport> {
    const pace = { kind: 'closed', inFlight: 8 } as const;
    const driver = new Driver({ connections: 2, seconds: 0.1, pace, ...plan });
    await driver.connect();
    return driver.run();
  }

  it('counts the waits of a steady rate while the server stalls', async () => {
    const stallMs = 300;
    const stall = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
    let calls = 0;
    const stallOnce: Script = (stream) => {
      calls += 1;
      if (calls === 1) stall();
      answer(stream, ANSWER);
    };
    const load = await openLoop(await target(stallOnce), { seconds: stallMs / 1000, connections: 2, rate: 1000 });
    assert.deepEqual([load.calls, load.errors], [stallMs, 0]);
    // The server slept for as long as calls were due: the first waited all of it, the one in the middle half of it.
    assert.ok(load.latencies.max >= stallMs && load.latencies.p50 >= 0.49 * stallMs, JSON.stringify(load.latencies));
  });

  it('counts nothing of its warm-up but what fails', async () => {
    let calls = 0;
    const failing: Script = (stream) => {
      calls += 1;
      if (calls === 1) fail(stream);
      else answer(stream, ANSWER);
    };
    const options = { seconds: 0.2, connections: 2, rate: 1000, warmUpSeconds: 0.3 };
    const load = await openLoop(await target(failing), options);
    assert.deepEqual([calls, load.calls, load.errors], [500, 200, 1]);
    // The last call is due a millisecond before the end.
    assert.ok(load.seconds >= 0.199, `${load.seconds} s`);
  });

  it('counts an answer without a message as an error, and one that is too short', async () => {
    let calls = 0;
    const scripts: Script[] = [
      (stream) => answer(stream, ANSWER),
      fail,
      (stream) => answer(stream, ANSWER.subarray(1)),
      (stream) => stream.close(),
    ];
    const mixed: Script = (stream) => {
      scripts[calls % scripts.length]!(stream);
      calls += 1;
    };
    const { errors, calls: answered } = await drive({ target: await target(mixed) });
    assert.equal(answered + errors, calls);
    assert.equal(answered, Math.ceil(calls / scripts.length));
  });

  it('calls on over another connection when the server lets one go, and loses nothing', async () => {
    let calls = 0;
    const aging: Script = (stream) => {
      calls += 1;
      answer(stream, ANSWER);
      if (calls % 10 === 0) stream.session?.close();
    };
    const { errors, calls: answered } = await drive({ target: await target(aging), seconds: 0.3 });
    assert.deepEqual([answered, errors], [calls, 0]);
    assert.ok(server.connections > 2);
  });

  it('sends and takes more than windows hold', async () => {
    const messages = [Buffer.alloc(200_000, 'a'), Buffer.alloc(70_000, 'b')];
    const read: number[] = [];
    const large: Script = (stream) => {
      let bytes = 0;
      stream.on('data', (chunk: Buffer) => (bytes += chunk.length)).once('end', () => read.push(bytes));
      answer(stream, Buffer.alloc(3_000_000));
    };
    const { errors, calls } = await drive({ target: await target(large, { messages, leastAnswerBytes: 3_000_000 }) });
    assert.equal(errors, 0);
    assert.equal(calls, read.length);
    assert.deepEqual(new Set(read), new Set([200_005, 70_005]));
  });

  it('counts the answers of a stream, and goes on with another when the server ends it in order', async () => {
    let streams = 0;
    const short = (stream: ServerHttp2Stream): void => {
      streams += 1;
      answerSome(stream, 5, ANSWER, UNAVAILABLE);
    };
    const { errors, calls } = await drive({ target: await target(short, { stream: { inFlight: 16 } }) });
    assert.equal(errors, 0);
    assert.ok(streams > 2 && calls >= 5 * (streams - 2), `${calls} calls on ${streams} streams`);
  });

  it('counts what a stream left unanswered as errors when it broke', async () => {
    const broken: Script = (stream) => answerSome(stream, 5, ANSWER, INTERNAL);
    const { errors } = await drive({ target: await target(broken, { stream: { inFlight: 16 } }) });
    assert.ok(errors > 0);
  });
});
