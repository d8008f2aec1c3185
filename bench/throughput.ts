/**
 * How many renders a worker answers, how fast, and at what cost. See bench/README.md.
 */
import { parseArgs } from 'node:util';
import { writeChart } from './support/chart.ts';
import { circumstances, writeResultTo } from './support/result-file.ts';
import { boundsOf, isKept } from './throughput/bounds.ts';
import { runScenarios } from './throughput/run.ts';
import { SCENARIOS } from './throughput/scenarios.ts';
import { Stage } from './throughput/stage.ts';
import { table } from './throughput/table.ts';
import { throughputChart } from './throughput/throughput-chart.ts';

const INTERRUPTED = 130;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '4' },
    json: { type: 'string' },
  },
});
const run = { seconds: Number(options.seconds), connections: Number(options.connections) };
const unknown = options.only.filter((name) => SCENARIOS.every((scenario) => scenario.name !== name));
if (unknown.length > 0 || !(run.seconds > 0) || !(run.connections >= 1)) {
  const names = SCENARIOS.map(({ name }) => name).join(', ');
  process.stderr.write(`--seconds and --connections are positive numbers, --only is one of ${names}\n`);
  process.exit(2);
}
const only = new Set(options.only);
const wanted = new Set(SCENARIOS.flatMap((each) => (only.has(each.name) ? [each.name, ...each.comparedWith] : [])));
const chosen = SCENARIOS.filter(({ name }) => only.size === 0 || wanted.has(name));

const stage = new Stage();
const interrupted = Promise.withResolvers<undefined>();
const interrupt = (): void => {
  // A second signal ends the process at once.
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  interrupted.resolve(undefined);
};
process.on('SIGINT', interrupt).on('SIGTERM', interrupt);

const { date, machine } = circumstances();
const measuring = runScenarios(chosen, stage, run, process.stderr);
const rows = await Promise.race([measuring, interrupted.promise]).finally(() => stage.close());
if (rows === undefined) process.exit(INTERRUPTED);
const bounds = boundsOf(rows);
const file = await writeResultTo(options.json, { date, machine, ...run, scenarios: rows, bounds });
const chart = `${file.replace(/\.json$/, '')}.svg`;
await writeChart(chart, throughputChart(rows, `${machine.cores} × ${machine.processor}, Node ${machine.node}`));

const notes = rows.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}.\n`));
process.stdout.write(`${table(rows, bounds)}

${notes.join('')}${run.seconds} s a phase on ${machine.cores} × ${machine.processor}, \
load ${machine.loadBefore.join(' ')} before.
Written to ${file} and ${chart}.
`);
process.exitCode = isKept(rows, bounds) ? 0 : 1;
