import { availableParallelism } from 'node:os';
import { AuditService } from '../../gen/platen/v1/audit_service_pb.js';
import { RenderService, RenderSource, type RenderResponse } from '../../gen/platen/v1/render_service_pb.js';
import { PromptType } from '../../gen/platen/v1/resources_pb.js';
import { startRedis } from '../../test/support/redis-server.ts';
import { closedLoop, type LoadResult } from '../load/load.ts';
import {
  ORDINARY_BUNDLE,
  ORDINARY_RENDER,
  ORDINARY_VARIABLES,
  releaseOrdinaryBundle,
} from '../support/ordinary-bundle.ts';
import { PolledReplicas, REPLICAS } from '../support/release-propagation.ts';
import { Call } from './call.ts';
import { FloorServer } from './floor.ts';
import { measureCalls, warmUp, type Load } from './measurement.ts';
import type { PlatenServer } from './platen-server.ts';
import {
  CHECKED_BUNDLE,
  CHURNED_BUNDLE,
  CHURNED_VERSIONS,
  LARGE_BUNDLE,
  LARGE_BYTES,
  LIQUID_BUNDLE,
  LIQUID_VARIABLES,
  MANY_BUNDLES,
  releaseChurnedBundle,
  releaseCheckedBundle,
  releaseLargeBundle,
  releaseLiquidBundle,
  releaseManyBundles,
  renderOf,
  type RenderInit,
} from './prompts.ts';
import { ReleaseChurn } from './release-churn.ts';
import { latencyFields, rowOf, type Row } from './row.ts';
import type { RunOptions, Scenario } from './scenario.ts';
import type { Stage } from './stage.ts';

const SERVER = 'platen';
/** Calls that a thread answers within microseconds: so many for each connection that it never waits for one. */
const IN_FLIGHT = 16;
/** Calls of which one is much work. */
const HEAVY_IN_FLIGHT = 4;
/** Calls that take milliseconds, in threads of their own or in PostgreSQL. */
const SLOW = { connections: 1, inFlight: 4 };

const BATCH = 16;
const ORDINARY_BYTES = 4_000;
const RELEASES_PER_SECOND = 20;
const PAGE = 50;
/** So long renders leave receipts before they are listed, lest no other scenario did. */
const LISTED_SECONDS = 2;
const PROPAGATED_RELEASES = 200;
const WORKERS = 2;
const WORKERS_CORES = 4;
/** Connections take turns: each worker gets half of them. */
const WORKERS_LOAD = { connections: 16, inFlight: 8 };

/** One byte: nothing is held in memory, whatever is released ahead. */
const NO_FIRST_LEVEL = { PLATEN_BUNDLE_CACHE_BYTES: '1' };
/** Two renders that want the same document at the same moment share a read; at least so many have one of their own. */
const LEAST_READS = 0.9;

/** A chosen scenario is measured between those that it is compared with, in this order. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'floor', comparedWith: [], expectedSeconds: bothPhases, measure: measureFloor },
  { name: 'render', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measureRender },
  { name: 'churn', comparedWith: ['floor', 'render'], expectedSeconds: bothPhases, measure: measureChurn },
  { name: 'stream', comparedWith: ['floor', 'render'], expectedSeconds: bothPhases, measure: measureStream },
  { name: 'batch', comparedWith: ['floor', 'render'], expectedSeconds: bothPhases, measure: measureBatch },
  { name: 'render-liquid', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measureLiquid },
  { name: 'render-large', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measureLarge },
  { name: 'by-type-fallback', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measureFallback },
  { name: 'preview', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measurePreview },
  { name: 'check-output', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measureCheckOutput },
  { name: 'audit-list', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measureAuditList },
  { name: 'l2', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measureSecondLevel },
  { name: 'cold', comparedWith: ['floor'], expectedSeconds: bothPhases, measure: measureCold },
  { name: 'workers', comparedWith: [], expectedSeconds: ({ seconds }) => 2 * seconds + 16, measure: measureWorkers },
  { name: 'propagation', comparedWith: [], expectedSeconds: () => 12, measure: measurePropagation },
];

/** The warm-ups and what is waited for between phases included. */
function bothPhases({ seconds }: RunOptions): number {
  return 2 * seconds + 8;
}

/** As fast as they can over the connections that the bench was told to open. */
function fast({ seconds, connections }: RunOptions, inFlight = IN_FLIGHT): Load {
  return { seconds, connections, inFlight };
}

/** One render a call. @param bytes that its text has at least */
function renderCall(requests: readonly RenderInit[], bytes = ORDINARY_BYTES): Call {
  return Call.of(RenderService.method.render, requests, (answer) => isPrompt(answer, bytes));
}

function isPrompt({ text, source }: RenderResponse, bytes = ORDINARY_BYTES): boolean {
  return text.length >= bytes && source === RenderSource.ACTIVE;
}

/** The server that most scenarios share, with the bundle that they render. */
async function ordinaryServer(stage: Stage): Promise<PlatenServer> {
  const server = await stage.server(SERVER);
  await stage.once('ordinary bundle', () => releaseOrdinaryBundle(server.clients));
  return server;
}

async function measureFloor(stage: Stage, options: RunOptions): Promise<Row> {
  const call = renderCall([ORDINARY_RENDER]);
  const floor = await stage.once('floor', async () => {
    const answer = await call.answerOf((await ordinaryServer(stage)).address);
    return stage.keep(() => FloorServer.start(call.path, answer));
  });
  return measureCalls('floor', { server: floor, call, load: fast(options), rendersPerCall: 0 });
}

async function measureRender(stage: Stage, options: RunOptions): Promise<Row> {
  const server = await ordinaryServer(stage);
  const call = renderCall([ORDINARY_RENDER]);
  return measureCalls('render', { server, call, load: fast(options), rendersPerCall: 1 });
}

async function measureChurn(stage: Stage, options: RunOptions): Promise<Row> {
  const server = await stage.server(SERVER);
  await stage.once('churned bundle', () => releaseChurnedBundle(server.clients));
  const call = renderCall([renderOf(CHURNED_BUNDLE)]);
  const begun = performance.now();
  const churn = new ReleaseChurn(server.clients, CHURNED_BUNDLE, CHURNED_VERSIONS, RELEASES_PER_SECOND);
  let row: Row;
  let releases = 0;
  try {
    row = await measureCalls('churn', { server, call, load: fast(options), rendersPerCall: 1 });
  } finally {
    releases = await churn.stop();
  }
  const rate = (1_000 * releases) / (performance.now() - begun);
  return { ...row, notes: [...row.notes, `${releases} releases of the rendered bundle, ${rate.toFixed(1)} a second`] };
}

async function measureStream(stage: Stage, options: RunOptions): Promise<Row> {
  const server = await ordinaryServer(stage);
  const call = Call.of(
    RenderService.method.renderStream,
    [{ id: 1, request: ORDINARY_RENDER }],
    ({ outcome }) => outcome?.outcome.case === 'response' && isPrompt(outcome.outcome.value),
  );
  return measureCalls('stream', { server, call, load: fast(options), rendersPerCall: 1 });
}

async function measureBatch(stage: Stage, options: RunOptions): Promise<Row> {
  const server = await ordinaryServer(stage);
  const requests = Array.from({ length: BATCH }, () => ORDINARY_RENDER);
  const call = Call.of(
    RenderService.method.batchRender,
    [{ requests }],
    ({ outcomes }) =>
      outcomes.length === BATCH &&
      outcomes.every(({ outcome }) => outcome.case === 'response' && isPrompt(outcome.value)),
  );
  return measureCalls('batch', { server, call, load: fast(options, HEAVY_IN_FLIGHT), rendersPerCall: BATCH });
}

async function measureLiquid(stage: Stage, options: RunOptions): Promise<Row> {
  const server = await stage.server(SERVER);
  await stage.once('liquid bundle', () => releaseLiquidBundle(server.clients));
  const call = renderCall([renderOf(LIQUID_BUNDLE, LIQUID_VARIABLES)], 3_500);
  return measureCalls('render-liquid', { server, call, load: fast(options), rendersPerCall: 1 });
}

async function measureLarge(stage: Stage, options: RunOptions): Promise<Row> {
  const server = await stage.server(SERVER);
  await stage.once('large bundle', () => releaseLargeBundle(server.clients));
  const call = renderCall([renderOf(LARGE_BUNDLE)], LARGE_BYTES);
  return measureCalls('render-large', { server, call, load: fast(options, HEAVY_IN_FLIGHT), rendersPerCall: 1 });
}

/** Nothing is activated for the type. */
async function measureFallback(stage: Stage, options: RunOptions): Promise<Row> {
  const server = await stage.server(SERVER);
  const call = Call.of(
    RenderService.method.render,
    [{ target: { case: 'type', value: PromptType.FAREWELL }, variables: ORDINARY_VARIABLES }],
    ({ text, source }) => text.length > 0 && source === RenderSource.FALLBACK,
  );
  return measureCalls('by-type-fallback', { server, call, load: fast(options), rendersPerCall: 1 });
}

async function measurePreview(stage: Stage, { seconds }: RunOptions): Promise<Row> {
  const server = await ordinaryServer(stage);
  const version = { case: 'bundleVersion' as const, value: { id: ORDINARY_BUNDLE, version: '1.0.0' } };
  const call = Call.of(
    RenderService.method.preview,
    [{ subject: version, variables: ORDINARY_VARIABLES }],
    ({ renderable, tokens }) => renderable && tokens !== undefined,
  );
  return measureCalls('preview', { server, call, load: { seconds, ...SLOW }, rendersPerCall: 0 });
}

async function measureCheckOutput(stage: Stage, { seconds }: RunOptions): Promise<Row> {
  const server = await stage.server(SERVER);
  const output = await stage.once('checked bundle', () => releaseCheckedBundle(server.clients));
  const call = Call.of(
    RenderService.method.checkOutput,
    [{ bundleId: CHECKED_BUNDLE, version: '1.0.0', output }],
    ({ passed }) => passed,
  );
  return measureCalls('check-output', { server, call, load: { seconds, ...SLOW }, rendersPerCall: 0 });
}

async function measureAuditList(stage: Stage, { seconds, connections }: RunOptions): Promise<Row> {
  const server = await ordinaryServer(stage);
  const render = renderCall([ORDINARY_RENDER]);
  const target = render.target(server.address, await render.answerOf(server.address), IN_FLIGHT);
  await closedLoop(target, { seconds: LISTED_SECONDS, connections, inFlight: IN_FLIGHT });
  await server.settled();
  const call = Call.of(
    AuditService.method.listReceipts,
    [{ tenant: 'default', pageSize: PAGE }],
    ({ receipts }) => receipts.length === PAGE,
  );
  return measureCalls('audit-list', { server, call, load: { seconds, ...SLOW }, rendersPerCall: 0 });
}

async function measureSecondLevel(stage: Stage, options: RunOptions): Promise<Row> {
  const starting = stage.once('redis', () => stage.keep(() => startRedis()));
  const redis = await starting.catch(String);
  if (typeof redis === 'string') return rowOf('l2', { not_measured: `there is no Redis: ${redis}` });
  const server = await stage.server('redis', { ...NO_FIRST_LEVEL, PLATEN_REDIS_URL: redis.url });
  return measureMisses('l2', stage, server, 'l2', options);
}

async function measureCold(stage: Stage, options: RunOptions): Promise<Row> {
  return measureMisses('cold', stage, await stage.server('cold', NO_FIRST_LEVEL), 'database', options);
}

/**
 * Renders of which each needs a document that is not in memory.
 * @throws Error if the server's own metrics say that it was not so
 */
async function measureMisses(
  name: string,
  stage: Stage,
  server: PlatenServer,
  level: string,
  options: RunOptions,
): Promise<Row> {
  await stage.once('many bundles', () => releaseManyBundles(server.clients));
  const call = renderCall(MANY_BUNDLES.map((bundleId) => renderOf(bundleId)));
  const before = await server.metrics();
  const row = await measureCalls(name, { server, call, load: fast(options), rendersPerCall: 1 });
  const after = await server.metrics();
  const counted = (metric: string, labels?: Record<string, string>) =>
    after.sum(metric, labels) - before.sum(metric, labels);
  const renders = counted('prompt_render_latency_seconds_count');
  const held = counted('bundle_cache_hits_total', { level: 'l1', kind: 'document' });
  const read = counted('bundle_cache_hits_total', { level, kind: 'document' });
  const reads = `${read} documents from ${level} for ${renders} renders, ${held} from memory`;
  if (held > 0 || read < LEAST_READS * renders) throw new Error(`the renders did not miss memory: ${reads}`);
  return { ...row, notes: [...row.notes, reads] };
}

async function measureWorkers(stage: Stage, { seconds }: RunOptions): Promise<Row> {
  const cores = availableParallelism();
  if (cores < WORKERS_CORES) {
    return rowOf('workers', { not_measured: `${cores} cores; server, generator and PostgreSQL need ${WORKERS_CORES}` });
  }
  const load = { seconds, ...WORKERS_LOAD };
  const one = await measureWorkerRate(stage, await stage.server('one worker'), load);
  const settings = { PLATEN_WORKERS: String(WORKERS) };
  const two = await measureWorkerRate(stage, await stage.server('two workers', settings), load);
  const [alone, together] = [one.calls / one.seconds, two.calls / two.seconds];
  return rowOf('workers', {
    calls_per_s: together,
    renders_per_s: together,
    renders_per_call: 1,
    errors: one.errors + two.errors,
    connections: load.connections,
    in_flight: load.inFlight,
    generator: two.generator,
    ratio_to_one_worker: together / alone,
    notes: [`${WORKERS} workers; one comes to ${Math.round(alone)} renders a second`],
  });
}

async function measureWorkerRate(stage: Stage, server: PlatenServer, load: Load): Promise<LoadResult> {
  await stage.once('ordinary bundle', () => releaseOrdinaryBundle(server.clients));
  const call = renderCall([ORDINARY_RENDER]);
  const target = call.target(server.address, await call.answerOf(server.address), load.inFlight);
  await warmUp(server, target, load);
  const loop = await closedLoop(target, load);
  await server.settled();
  return loop;
}

/** From the answer to a release to the first answered render that knows it. */
async function measurePropagation(stage: Stage): Promise<Row> {
  await stage.stopServer();
  const database = await stage.database();
  const replicas = await stage.keep(() => PolledReplicas.start(database));
  const { anyRender } = await replicas.oneByOne(PROPAGATED_RELEASES);
  return rowOf('propagation', {
    ...latencyFields(anyRender),
    notes: [`from ${PROPAGATED_RELEASES} releases to a render on each of ${REPLICAS} replicas`],
  });
}
