/**
 * What a million pointers cost. See bench/README.md.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type { PromptType } from '../src/domain/prompt-type.ts';
import { type RouteAnswer, RouteMap, type RouteRows } from '../src/domain/route-map.ts';
import { brandId, type Brands, bundleId, CHANNEL, deepId, pagesOf } from './support/brands.ts';
import { withBrandDatabase } from './support/brand-database.ts';
import { PlainRoutes } from './support/plain-routes.ts';

const DEPTHS = [0, 1, 2, 4, 8];
/** Questions of a round; they are asked again and again, and the best round counts. */
const QUESTIONS = 4_096;
const ROUNDS = 250;
const TYPE: PromptType = 'GREETING';

type Row = Readonly<Record<string, number>>;
type Question = readonly [tenant: string, bundleId: string];

interface Routes {
  add(rows: Partial<RouteRows>): void;
  resolveBundle(tenant: string, bundleId: string, channel: string): RouteAnswer | undefined;
  resolveType(tenant: string, type: PromptType, channel: string): RouteAnswer | undefined;
}

const { values: options } = parseArgs({
  options: {
    brands: { type: 'string', default: '10000' },
    bundles: { type: 'string', default: '100' },
    database: { type: 'boolean', default: false },
  },
});
const brands: Brands = {
  brands: Number(options.brands),
  bundles: Number(options.bundles),
  depth: DEPTHS.at(-1)!,
};
const pointers = (brands.brands + 1) * brands.bundles;

function usedBytes(): number {
  globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function milliseconds(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** Nanoseconds per answer. */
function nanoseconds(questions: readonly Question[], resolve: (question: Question) => RouteAnswer | undefined): number {
  const round = (): void => {
    for (const question of questions) if (resolve(question) === undefined) throw new Error('nothing answers');
  };
  const best = Math.min(...Array.from({ length: ROUNDS }, () => milliseconds(round)));
  return (best / questions.length) * 1e6;
}

function lookUps(routes: Routes): Row {
  const anyBrand = (n: number): Question => [brandId((n * 7_919) % brands.brands), bundleId((n * 31) % brands.bundles)];
  const places = [
    ['any brand', anyBrand] as const,
    ...DEPTHS.map((depth) => [`depth ${depth}`, (): Question => [deepId(depth), bundleId(1)]] as const),
  ];
  const row: Record<string, number> = {};
  for (const [name, questionOf] of places) {
    const questions = Array.from({ length: QUESTIONS }, (_, n) => questionOf(n));
    row[`by bundle, ${name}: ns`] = nanoseconds(questions, ([at, id]) => routes.resolveBundle(at, id, CHANNEL));
    row[`by type, ${name}: ns`] = nanoseconds(questions, ([at]) => routes.resolveType(at, TYPE, CHANNEL));
  }
  return row;
}

function measure(make: () => Routes): Row {
  const routes = make();
  const took: number[] = [];
  let withTenants = 0;
  for (const page of pagesOf(brands)) {
    if (page.tenants === undefined && withTenants === 0) withTenants = usedBytes();
    took.push(milliseconds(() => routes.add(page)));
  }
  const bytes = usedBytes() - withTenants;
  return {
    'bytes per pointer, tenants aside': bytes / pointers,
    'build: ms': took.reduce((sum, each) => sum + each),
    'longest page of the build: ms': Math.max(...took),
    'full garbage collection: ms': milliseconds(() => globalThis.gc!()),
    ...lookUps(routes),
  };
}

/** How long a replica takes to load everything, and how long its event loop is held up meanwhile. */
async function measureLoad(): Promise<Row> {
  return withBrandDatabase(brands, async (open) => {
    const log = await open();
    const before = usedBytes();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const start = performance.now();
    delay.enable();
    const map = await log.load();
    delay.disable();
    const loadMs = performance.now() - start;
    const bytes = usedBytes() - before;
    if (map.resolveBundle(brandId(0), bundleId(0), CHANNEL) === undefined) throw new Error('nothing answers');
    await log.close();
    return {
      'load: ms': loadMs,
      'event loop held up at most: ms': delay.max / 1e6,
      'bytes per pointer, tenants included': bytes / pointers,
    };
  });
}

/** @param columns by name, all with the same rows */
function table(columns: Readonly<Record<string, Row>>): string {
  const line = (name: string, cells: readonly string[]): string =>
    name.padEnd(40) + cells.map((cell) => cell.padStart(16)).join('');
  const rows = Object.keys(Object.values(columns)[0]!);
  return [
    line(`${pointers} pointers`, Object.keys(columns)),
    ...rows.map((row) => line(row, Object.values(columns).map((column) => column[row]!.toFixed(1)))),
    '',
  ].join('\n');
}

if (!globalThis.gc) throw new Error('start it with node --expose-gc');
const empty = { seq: 1, chainHash: '', tenants: [], bundles: [], channels: [], activations: [] };
const columns = options.database
  ? { 'from PostgreSQL': await measureLoad() }
  : { 'route map': measure(() => new RouteMap(empty)), 'plain maps': measure(() => new PlainRoutes()) };
process.stdout.write(table(columns));
