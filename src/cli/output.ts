import { toJsonString, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { timestampDate, type Timestamp } from '@bufbuild/protobuf/wkt';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { WarningCodeSchema, type Warning } from '../../gen/platen/v1/resources_pb.js';
import { enumName } from './enum-name.ts';

export type Cell = string | number | bigint | boolean;

/** Rows under a header in aligned columns, or `none`. Ends with a newline. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return 'none\n';
  return aligned([header, ...rows.map((row) => row.map(cellText))]);
}

/** Further rows of a table, in columns of their own. */
export function tableRows(rows: readonly (readonly Cell[])[]): string {
  return aligned(rows.map((row) => row.map(cellText)));
}

/** Names and values in two aligned columns; those with an empty value are left out. Ends with a newline. */
export function fields(pairs: readonly (readonly [string, Cell])[]): string {
  return aligned(pairs.map(([name, value]) => [name, cellText(value)]).filter(([, value]) => value !== ''));
}

/** A response as protobuf's JSON, indented. Ends with a newline. */
export function json<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return `${toJsonString(schema, message, { prettySpaces: 2 })}\n`;
}

/** ISO 8601 in UTC with milliseconds; empty if unset. */
export function time(timestamp: Timestamp | undefined): string {
  return timestamp === undefined ? '' : timestampDate(timestamp).toISOString();
}

/** What changed between two texts, in the format of `diff -u`. */
export function unifiedDiff(fromName: string, from: string, toName: string, to: string): string {
  return createTwoFilesPatch(fromName, toName, from, to, '', '', { headerOptions: FILE_HEADERS_ONLY });
}

/** A line for each warning. */
export function warningLines(warnings: readonly Warning[]): string {
  return warnings
    .map(({ code, subject, message }) => `warning: ${enumName(WarningCodeSchema, code)} ${subject}: ${message}\n`)
    .join('');
}

// Control characters would break the columns, or speak to the terminal.
function cellText(cell: Cell): string {
  return String(cell).replaceAll(/\p{Cc}+/gu, ' ');
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, [...cell].length)));
  return rows
    .map((row) => row.map((cell, i) => cell + ' '.repeat(widths[i]! - [...cell].length)).join('  ').trimEnd() + '\n')
    .join('');
}
