/**
 * How a receipt stands in the journal: one line, `<crc32 of the rest, 8 hex digits> <JSON array>`. JSON never holds a
 * line feed, so that lines end where they seem to.
 */
import { crc32 } from 'node:zlib';
import { parseJson } from '../domain/parse-json.ts';
import type { CapturedInputs, JournaledReceipt, ReceiptRecord } from '../services/trail.ts';

/** The first member of each array; another order or number of members is another format. */
const FORMAT = 1;

/** Where the JSON begins: after the checksum and a blank. */
const JSON_START = 9;

type Column<Name extends keyof ReceiptRecord> = ReceiptRecord[Name];

/** The members in their order; the time in milliseconds since the epoch; no last member: none was captured. */
type Row = [
  format: number,
  renderId: Column<'renderId'>,
  timeMs: number,
  durationUs: Column<'durationUs'>,
  requestedTenant: Column<'requestedTenant'>,
  requestedBundleId: Column<'requestedBundleId'>,
  requestedVersion: Column<'requestedVersion'>,
  requestedType: Column<'requestedType'>,
  capturePolicy: Column<'capturePolicy'>,
  tenant: Column<'tenant'>,
  bundleId: Column<'bundleId'>,
  version: Column<'version'>,
  channel: Column<'channel'>,
  revision: Column<'revision'>,
  seq: Column<'seq'>,
  source: Column<'source'>,
  renderedHash: Column<'renderedHash'>,
  bundleHash: Column<'bundleHash'>,
  personalityHash: Column<'personalityHash'>,
  constraintsHash: Column<'constraintsHash'>,
  variablesHash: Column<'variablesHash'>,
  placeholdersHash: Column<'placeholdersHash'>,
  messagesHash: Column<'messagesHash'>,
  rendererVersion: Column<'rendererVersion'>,
  caller: Column<'caller'>,
  requestId: Column<'requestId'>,
  labels: Column<'labels'>,
  traceId: Column<'traceId'>,
  inputs?: CapturedInputs,
];

/** Members of a Row without inputs. */
const COLUMNS = 28;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Measured: toString(16) and padStart take ten times as long. */
function checksum(json: string): string {
  const crc = crc32(json);
  return HEX[crc >>> 24]! + HEX[(crc >>> 16) & 0xff]! + HEX[(crc >>> 8) & 0xff]! + HEX[crc & 0xff]!;
}

/**
 * @param inputs JSON of CapturedInputs, in one line; undefined: none was captured
 * @returns the line, with the line feed that ends it
 */
export function encodeLine(receipt: ReceiptRecord, inputs: string | undefined): string {
  const row: Row = [
    FORMAT,
    receipt.renderId,
    receipt.time.getTime(),
    receipt.durationUs,
    receipt.requestedTenant,
    receipt.requestedBundleId,
    receipt.requestedVersion,
    receipt.requestedType,
    receipt.capturePolicy,
    receipt.tenant,
    receipt.bundleId,
    receipt.version,
    receipt.channel,
    receipt.revision,
    receipt.seq,
    receipt.source,
    receipt.renderedHash,
    receipt.bundleHash,
    receipt.personalityHash,
    receipt.constraintsHash,
    receipt.variablesHash,
    receipt.placeholdersHash,
    receipt.messagesHash,
    receipt.rendererVersion,
    receipt.caller,
    receipt.requestId,
    receipt.labels,
    receipt.traceId,
  ];
  const columns = JSON.stringify(row);
  const json = inputs === undefined ? columns : `${columns.slice(0, -1)},${inputs}]`;
  return `${checksum(json)} ${json}\n`;
}

/**
 * @param line without the line feed that ends it
 * @returns undefined if it is damaged, or not of this format: nothing in it can be relied on
 */
export function decodeLine(line: string): JournaledReceipt | undefined {
  const json = line.slice(JSON_START);
  if (line.slice(0, JSON_START) !== `${checksum(json)} `) return undefined;
  const row = parse(json);
  return row && { receipt: receiptOf(row), inputs: row[COLUMNS] };
}

function parse(json: string): Row | undefined {
  try {
    const row = parseJson(json) as Row;
    const isRow = row[0] === FORMAT && row.length >= COLUMNS && row.length <= COLUMNS + 1;
    // What says which day it is of, before PostgreSQL can refuse it.
    return isRow && typeof row[1] === 'string' ? row : undefined;
  } catch {
    return undefined;
  }
}

function receiptOf(row: Row): ReceiptRecord {
  return {
    renderId: row[1],
    time: new Date(row[2]),
    durationUs: row[3],
    requestedTenant: row[4],
    requestedBundleId: row[5],
    requestedVersion: row[6],
    requestedType: row[7],
    capturePolicy: row[8],
    tenant: row[9],
    bundleId: row[10],
    version: row[11],
    channel: row[12],
    revision: row[13],
    seq: row[14],
    source: row[15],
    renderedHash: row[16],
    bundleHash: row[17],
    personalityHash: row[18],
    constraintsHash: row[19],
    variablesHash: row[20],
    placeholdersHash: row[21],
    messagesHash: row[22],
    rendererVersion: row[23],
    caller: row[24],
    requestId: row[25],
    labels: row[26],
    traceId: row[27],
  };
}
