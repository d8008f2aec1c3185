import { defineEntity, p } from '@mikro-orm/postgresql';
import type { CapturePolicy, PromptType } from '../../domain/prompt-type.ts';
import type { RenderSource } from '../../services/trail.ts';
import { CanonicalJson } from './canonical-json.ts';
import { HexBytes } from './hex-bytes.ts';

/** The columns of a receipt. */
export const receiptProperties = {
  renderId: p.uuid().primary(),
  time: p.datetime(3),
  durationUs: p.bigint('number'),
  requestedTenant: p.text(),
  requestedBundleId: p.text(),
  requestedVersion: p.text(),
  requestedType: p.text().$type<PromptType | ''>(),
  capturePolicy: p.text().$type<CapturePolicy>(),
  tenant: p.text(),
  bundleId: p.text(),
  version: p.text(),
  channel: p.text(),
  revision: p.integer(),
  seq: p.bigint('number'),
  source: p.text().$type<RenderSource>(),
  renderedHash: p.type(HexBytes).$type<string>(),
  bundleHash: p.type(HexBytes).$type<string>(),
  personalityHash: p.type(HexBytes).$type<string>(),
  constraintsHash: p.type(HexBytes).$type<string>(),
  variablesHash: p.type(HexBytes).$type<string>(),
  placeholdersHash: p.type(HexBytes).$type<string>(),
  messagesHash: p.type(HexBytes).$type<string>(),
  rendererVersion: p.integer(),
  caller: p.text(),
  requestId: p.text(),
  labels: p.type(CanonicalJson).$type<Readonly<Record<string, string>>>(),
  traceId: p.text(),
  receiptHash: p.type(HexBytes).$type<string>(),
  batch: p.bigint('number'),
  /** Orders the batch; has gaps where a receipt was drained before. */
  batchPos: p.integer(),
};

/** The record of a render, in a partition of its UTC day. Append-only. */
export const ReceiptEntity = defineEntity({ name: 'Receipt', tableName: 'receipt', properties: receiptProperties });
