import { closedLoop, openLoop, type LoadResult, type LoadTarget } from '../load/load.ts';
import type { Call } from './call.ts';
import type { CpuTimes } from './cpu-probe.ts';
import { latencyFields, rowOf, type Row } from './row.ts';

/** Until compilers have seen the code, the server's and the generator's, in seconds. */
const WARM_UP_SECONDS = 2;
/** A call at a time that the generator itself sends late does not show; one of so many does. */
const LATE_SHARE = 0.01;

/** A server in a process of its own. */
export interface ServerUnderTest {
  /** host:port */
  readonly address: string;
  /** What it took of the processor so far. */
  cpu(): Promise<CpuTimes>;
  /** Resolves once nothing is left to do of what was answered. */
  settled(): Promise<void>;
}

/** How a closed loop asks, and for how long each phase. */
export interface Load {
  readonly seconds: number;
  readonly connections: number;
  /** Of each connection. */
  readonly inFlight: number;
}

/** What a phase came to. */
interface Phase {
  readonly loop: LoadResult;
  readonly fields: Partial<Row>;
}

/** Calls until the compiler has seen the code, and waits for what is left to do of them. */
export async function warmUp(server: ServerUnderTest, target: LoadTarget, load: Load): Promise<void> {
  await closedLoop(target, { ...load, seconds: WARM_UP_SECONDS });
  await server.settled();
}

/** As fast as the server answers: rate, and processor time per call. @throws Error if no call is answered */
export async function measureRate(
  server: ServerUnderTest,
  target: LoadTarget,
  load: Load,
): Promise<Phase> {
  const before = await server.cpu();
  const loop = await closedLoop(target, load);
  if (loop.calls === 0) throw new Error(`no call was answered, ${loop.errors} failed`);
  const { thread } = await server.cpu();
  // What receipts take after the answer is part of what a call takes.
  await server.settled();
  const { process } = await server.cpu();
  const fields: Partial<Row> = {
    calls_per_s: loop.calls / loop.seconds,
    thread_cpu_us: (thread - before.thread) / loop.calls,
    process_cpu_us: (process - before.process) / loop.calls,
    connections: load.connections,
    in_flight: load.inFlight,
    generator: loop.generator,
  };
  return { loop, fields };
}

/** At half of the rate that a closed loop came to: how long calls take. */
async function measureLatency(
  server: ServerUnderTest,
  target: LoadTarget,
  load: Load,
  { calls, seconds }: LoadResult,
): Promise<Phase> {
  const rate = calls / seconds / 2;
  const { latencies, late, ...loop } = await openLoop(target, { ...load, rate, warmUpSeconds: WARM_UP_SECONDS });
  await server.settled();
  const share = late / (loop.calls + loop.errors);
  const percent = (100 * share).toFixed(1);
  const note = `${percent} % of the calls were sent late: the latencies are partly the generator's own`;
  const fields: Partial<Row> = {
    ...latencyFields(latencies),
    latency_rate: rate,
    late_sends: late,
    notes: share > LATE_SHARE ? [note] : [],
  };
  return { loop, fields };
}

/** One call to one server. */
export interface Calling {
  readonly server: ServerUnderTest;
  readonly call: Call;
  readonly load: Load;
  /** 0: it renders nothing, or nothing that counts. */
  readonly rendersPerCall: number;
}

/** Asks once whether the call is answered as it should be, and then measures it in both phases. */
export async function measureCalls(name: string, { server, call, load, rendersPerCall }: Calling): Promise<Row> {
  const target = call.target(server.address, await call.answerOf(server.address), load.inFlight);
  await warmUp(server, target, load);
  const rate = await measureRate(server, target, load);
  const latency = await measureLatency(server, target, load, rate.loop);
  return rowOf(name, {
    ...rate.fields,
    ...latency.fields,
    errors: rate.loop.errors + latency.loop.errors,
    renders_per_call: rendersPerCall,
    renders_per_s: rendersPerCall === 0 ? null : (rendersPerCall * rate.loop.calls) / rate.loop.seconds,
  });
}
