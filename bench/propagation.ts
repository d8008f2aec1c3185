/**
 * How soon a release is visible on every replica. See bench/README.md.
 */
import { parseArgs } from 'node:util';
import { withOwnDatabase } from './support/own-database.ts';
import { PolledReplicas, REPLICAS, type Propagation, type Spread } from './support/release-propagation.ts';
import { circumstances, writeResult } from './support/result-file.ts';

const LIMIT_MS = 50;

const { values: options } = parseArgs({ options: { releases: { type: 'string', default: '1000' } } });
const releases = Number(options.releases);

interface Row extends Spread {
  readonly what: string;
}

function rowsOf(name: string, { renders, anyRender, applied, anyApplied }: Propagation): Row[] {
  return [
    ...renders.map((each, n) => ({ what: `${name}, answer to render on replica ${n}`, ...each })),
    { what: `${name}, answer to render on any`, ...anyRender },
    ...applied.map((each, n) => ({ what: `${name}, commit to applied by replica ${n}`, ...each })),
    { what: `${name}, commit to applied by any`, ...anyApplied },
  ];
}

function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ what }) => what.length));
  const line = (what: string, ...cells: readonly string[]): string =>
    [what.padEnd(width), ...cells.map((cell) => cell.padStart(8))].join('  ');
  const cells = ({ count, p50, p99, max }: Row) => [String(count), ...[p50, p99, max].map((each) => each.toFixed(1))];
  return [line('ms', 'releases', 'p50', 'p99', 'max'), ...rows.map((row) => line(row.what, ...cells(row)))].join('\n');
}

const { date, machine } = circumstances();

const rows = await withOwnDatabase(async ({ serverUrl, ownerUrl }) => {
  const settings = { PLATEN_DATABASE_URL: serverUrl, PLATEN_DATABASE_OWNER_URL: ownerUrl };
  const replicas = await PolledReplicas.start(settings);
  try {
    return [
      ...rowsOf('one by one', await replicas.oneByOne(releases)),
      ...rowsOf('in bursts', await replicas.inBursts(releases)),
    ];
  } finally {
    await replicas.stop();
  }
});

const file = await writeResult('propagation', { date, machine, releases, rows });

const late = rows.filter(({ p99 }) => p99 > LIMIT_MS);
process.stdout.write(`${table(rows)}

${REPLICAS} replicas on ${machine.cores} × ${machine.processor}, load ${machine.loadBefore.join(' ')} before.
p99 above ${LIMIT_MS} ms: ${late.map(({ what }) => what).join('; ') || 'nowhere'}.
Written to ${file}.
`);
process.exitCode = late.length > 0 ? 1 : 0;
