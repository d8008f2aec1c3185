import type { Bound } from './bounds.ts';
import { threadUsPerRender, type Row } from './row.ts';

/** The result file has the whole of it. */
const REASON_CHARACTERS = 160;

const HEADINGS = [
  ['', '', '', 'thread', 'thread', 'process', 'ratio', '', '', '', '', '', ''],
  ['', '', '', 'µs per', 'µs per', 'µs per', 'to the', 'p50', 'p90', 'p99', 'p99.9', '', ''],
  ['scenario', 'calls/s', 'renders/s', 'call', 'render', 'call', 'floor', 'ms', 'ms', 'ms', 'ms', 'errors', 'bounds'],
];

/** What was measured as a table, with what was promised beside it. */
export function table(rows: readonly Row[], bounds: readonly Bound[]): string {
  const lines = [...HEADINGS, ...rows.map((row) => cells(row, bounds))];
  const widths = HEADINGS[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) => line.map((cell, column) => aligned(cell, column, widths)).join('  ').trimEnd())
    .join('\n');
}

/** Text to the left, numbers to the right. */
function aligned(cell: string, column: number, widths: readonly number[]): string {
  const isText = column === 0 || column === widths.length - 1;
  return isText ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
}

function cells(row: Row, bounds: readonly Bound[]): string[] {
  const perRender = row.renders_per_call === 0 ? null : threadUsPerRender(row);
  const verdicts = bounds.filter(({ scenario }) => scenario === row.name).map(verdict);
  const reasons = [row.failed && `failed: ${row.failed}`, row.not_measured && `not measured: ${row.not_measured}`];
  const reason = reasons.find((each) => each !== null);
  return [
    row.name,
    figure(row.calls_per_s, 0),
    figure(row.renders_per_s, 0),
    figure(row.thread_cpu_us, 1),
    figure(perRender, 1),
    figure(row.process_cpu_us, 1),
    figure(row.ratio_to_floor, 2),
    ...[row.p50_ms, row.p90_ms, row.p99_ms, row.p999_ms].map((each) => figure(each, 2)),
    String(row.errors),
    reason ? reason.replaceAll(/\s+/g, ' ').slice(0, REASON_CHARACTERS) : verdicts.join('; '),
  ];
}

function verdict({ what, value, met }: Bound): string {
  if (value === null || met === null) return `${what}: not measured`;
  return `${what}: ${met ? 'met' : 'MISSED'} (${value.toFixed(2)})`;
}

function figure(value: number | null, digits: number): string {
  return value === null ? '–' : value.toFixed(digits);
}
