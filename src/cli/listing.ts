/** Lists of any length: a page as a table, or all of it as a table, JSON Lines or CSV. */
import { toJsonString, type DescField, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { TimestampSchema, type Timestamp } from '@bufbuild/protobuf/wkt';
import { Option, type Command } from 'commander';
import { stringify } from 'csv-stringify/sync';
import { enumName } from './enum-name.ts';
import { paged, wantedNumber, type PageOptions } from './options.ts';
import { table, tableRows, time, type Cell } from './output.ts';
import type { Session } from './session.ts';

/** How many items are fetched at once where all are wanted: as many as a page can hold. */
const EXPORT_PAGE_SIZE = 1000;

/** Options of a list that can be exported. */
export interface ListingOptions extends PageOptions {
  readonly format: Format;
  readonly all?: true;
  readonly limit?: number;
}

/** Which page is asked for. */
export interface PageRequest {
  /** 0: as the server likes it. */
  readonly pageSize: number;
  /** Empty: the first. */
  readonly pageToken: string;
}

/** A list that the server gives in pages. */
export interface Listing<Page extends DescMessage, Item extends DescMessage> {
  readonly page: Page;
  readonly item: Item;
  fetch(page: PageRequest): Promise<MessageShape<Page> & { nextPageToken: string }>;
  items(page: MessageShape<Page>): readonly MessageShape<Item>[];
  /** The table's. */
  readonly header: readonly string[];
  row(item: MessageShape<Item>): readonly Cell[];
}

const FORMATS = ['table', 'jsonl', 'csv'] as const;
type Format = (typeof FORMATS)[number];

/** Adds the options of a list that can be exported. */
export function exportable(command: Command): Command {
  return paged(command)
    .addOption(
      new Option('--format <format>', 'jsonl and csv print all pages as they come')
        .choices(FORMATS)
        .default('table')
        .conflicts('json'),
    )
    .addOption(new Option('--all', 'all pages of the table too').conflicts('json'))
    .addOption(
      new Option('--limit <n>', 'as many pages as it takes, up to n items').argParser(wantedNumber).conflicts('json'),
    )
    .addHelpText(
      'after',
      '\njsonl: a line of JSON for each, with the names of the API.' +
        '\ncsv: RFC 4180 with a header; a column for each field, labels and details as JSON.' +
        '\nValues are exactly what was recorded, also those that begin with = + - or @: it is data, not a' +
        '\nspreadsheet; import it as text.',
    );
}

/** Prints a page, or all pages as they come. A reader that closes its pipe ends it. */
export async function printListing<Page extends DescMessage, Item extends DescMessage>(
  session: Session,
  options: ListingOptions,
  listing: Listing<Page, Item>,
): Promise<void> {
  const { format, all, limit } = options;
  let { pageToken = '' } = options;
  if (format === 'table' && !all && limit === undefined) {
    const page = await listing.fetch({ pageSize: options.pageSize ?? 0, pageToken });
    session.printPage(listing.page, page, tableText(listing, listing.items(page), true));
    return;
  }
  let left = limit ?? Infinity;
  let isFirst = true;
  const pageSize = options.pageSize ?? Math.min(left, EXPORT_PAGE_SIZE);
  do {
    const page = await listing.fetch({ pageSize, pageToken });
    const items = listing.items(page).slice(0, left);
    if (!(await session.write(TEXTS[format](listing, items, isFirst)))) return;
    left -= items.length;
    isFirst = false;
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && left > 0);
}

type Text = <Page extends DescMessage, Item extends DescMessage>(
  listing: Listing<Page, Item>,
  items: readonly MessageShape<Item>[],
  isFirst: boolean,
) => string;

const TEXTS: Readonly<Record<Format, Text>> = { table: tableText, jsonl: jsonLines, csv: csvText };

function tableText<Page extends DescMessage, Item extends DescMessage>(
  listing: Listing<Page, Item>,
  items: readonly MessageShape<Item>[],
  isFirst: boolean,
): string {
  const rows = items.map((item) => listing.row(item));
  return isFirst ? table(listing.header, rows) : tableRows(rows);
}

function jsonLines<Page extends DescMessage, Item extends DescMessage>(
  { item: schema }: Listing<Page, Item>,
  items: readonly MessageShape<Item>[],
): string {
  return items.map((item) => `${toJsonString(schema, item)}\n`).join('');
}

function csvText<Page extends DescMessage, Item extends DescMessage>(
  { item: schema }: Listing<Page, Item>,
  items: readonly MessageShape<Item>[],
  isFirst: boolean,
): string {
  const header = isFirst ? [schema.fields.map(({ name }) => name)] : [];
  const records = items.map((item) => {
    const values = item as unknown as Readonly<Record<string, unknown>>;
    return schema.fields.map((field) => csvValue(field, values[field.localName]));
  });
  return stringify([...header, ...records], { record_delimiter: 'windows', quote_record_delimiter: true });
}

function csvValue(field: DescField, value: unknown): string {
  if (field.fieldKind === 'enum') return enumName(field.enum, value as number);
  if (field.message?.typeName === TimestampSchema.typeName) return time(value as Timestamp | undefined);
  return typeof value === 'object' ? JSON.stringify(value) : String(value ?? '');
}
