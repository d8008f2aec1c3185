import type { Pace, Plan } from './driver.ts';
import { GeneratorProcess } from './generator-process.ts';
import type { Latencies, LoadResult, LoadTarget } from './load.ts';
import { Tally } from './tally.ts';

/** Calls a second that one process makes with less than half a core. */
const RATE_OF_ONE = 30_000;

interface Options {
  readonly seconds: number;
  readonly connections: number;
}

/** What `closedLoop` promises, by our own client. */
export async function http2ClosedLoop(
  target: LoadTarget,
  { seconds, connections, inFlight }: Options & { inFlight: number },
): Promise<LoadResult> {
  const pace = { kind: 'closed', inFlight: target.stream?.inFlight ?? inFlight } as const;
  return resultOf(await run([{ target, connections, seconds, pace }]));
}

/** What `openLoop` promises. */
export async function http2OpenLoop(
  target: LoadTarget,
  { seconds, connections, rate, warmUpSeconds = 0 }: Options & { rate: number; warmUpSeconds?: number },
): Promise<LoadResult & { latencies: Latencies; late: number; unanswered: number }> {
  const processes = rate > RATE_OF_ONE && connections > 1 ? 2 : 1;
  const plans = Array.from({ length: processes }, (_, n): Plan => {
    const pace: Pace = { kind: 'open', rate: rate / processes, phase: (n * 1000) / rate, warmUpSeconds };
    return { target, connections: Math.floor((connections + n) / processes), seconds, pace };
  });
  const tally = await run(plans);
  return { ...resultOf(tally), latencies: tally.latencies(), late: tally.late, unanswered: tally.unanswered };
}

function resultOf({ calls, seconds, errors }: Tally): LoadResult {
  return { calls, seconds, errors, generator: 'http2' };
}

/** The generators start together, once all are connected. */
async function run(plans: readonly Plan[]): Promise<Tally> {
  const generators = plans.map((plan) => new GeneratorProcess(plan));
  try {
    await Promise.all(generators.map((generator) => generator.connected()));
    const tally = new Tally();
    for (const report of await Promise.all(generators.map((generator) => generator.run()))) tally.add(report);
    return tally;
  } finally {
    await Promise.all(generators.map((generator) => generator.kill()));
  }
}
