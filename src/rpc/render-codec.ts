import { type MessageInitShape, create, toBinary } from '@bufbuild/protobuf';
import type { ListValue, Struct, Value } from '@bufbuild/protobuf/wkt';
import {
  RenderOutcomeSchema,
  RenderResponseSchema,
  type BatchRenderRequest,
  type BatchRenderResponseSchema,
  type BundleTarget,
  type RenderRequest,
  type RenderResponse,
  type RenderStreamRequest,
  type RenderStreamResponseSchema,
} from '../../gen/platen/v1/render_service_pb.js';
import type { Message, MessageList, MessageSchema, WarningSchema } from '../../gen/platen/v1/resources_pb.js';
import { UNKNOWN, WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

type ResponseInit = MessageInitShape<typeof RenderResponseSchema>;
type OutcomeInit = MessageInitShape<typeof RenderOutcomeSchema>;
type BatchInit = MessageInitShape<typeof BatchRenderResponseSchema>;
type AnswerInit = MessageInitShape<typeof RenderStreamResponseSchema>;
/** Whatever JSON the codec holds for a google.protobuf.Struct. */
type ModelConfig = NonNullable<RenderResponse['modelConfig']>;

/**
 * Reads a request as the generated codec does, in a third of the time.
 * @returns undefined for what is not known here, be it well formed or not: fields that the contract does not have,
 *   messages and map entries in pieces or of unusual order, values nested dozens of levels deep, negative numbers.
 *   The generated codec is then to be asked.
 */
export function decodeRenderRequest(bytes: Uint8Array): RenderRequest | undefined {
  return known(readRequest, new WireReader(bytes));
}

/** The same for many requests; one that is not known makes the whole undefined. */
export function decodeBatchRenderRequest(bytes: Uint8Array): BatchRenderRequest | undefined {
  return known(readBatch, new WireReader(bytes));
}

/** The same for a request of a stream. */
export function decodeRenderStreamRequest(bytes: Uint8Array): RenderStreamRequest | undefined {
  return known(readStreamRequest, new WireReader(bytes));
}

/**
 * Writes a response as the generated codec does, in a fifth of the time.
 * @param init without unknown fields; its model_config is never to be changed, since it is encoded once
 * @returns it in its frame (`grpc-frames.ts`), bytes that nothing else is written to; undefined for what the generated codec refuses, for negative numbers
 *   and those from 2^53. The generated codec is then to be asked.
 */
export function encodeRenderResponse(init: ResponseInit): Buffer | undefined {
  return known(encodeResponse, init);
}

/** The same for the outcomes of many requests. */
export function encodeBatchRenderResponse(init: BatchInit): Buffer | undefined {
  return known(encodeBatch, init);
}

/** The same for an answer of a stream. */
export function encodeRenderStreamResponse(init: AnswerInit): Buffer | undefined {
  return known(encodeAnswer, init);
}

function known<I, O>(convert: (input: I) => O, input: I): O | undefined {
  try {
    return convert(input);
  } catch {
    return undefined;
  }
}

/** Wire types. A tag is a field's number and its wire type. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

const MAX_INT32 = 0x7fff_ffff;
const MAX_UINT32 = 0xffff_ffff;

function readBatch(reader: WireReader): BatchRenderRequest {
  return { $typeName: 'platen.v1.BatchRenderRequest', requests: readItems(reader, readRequest) };
}

function readStreamRequest(reader: WireReader): RenderStreamRequest {
  const message: RenderStreamRequest = { $typeName: 'platen.v1.RenderStreamRequest', id: 0 };
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | VARINT)) message.id = reader.number(MAX_UINT32);
    else if (tag === ((2 << 3) | BYTES) && message.request === undefined) message.request = read(reader, readRequest);
    else throw UNKNOWN;
  }
  return message;
}

function readRequest(reader: WireReader): RenderRequest {
  const request: RenderRequest = {
    $typeName: 'platen.v1.RenderRequest',
    tenant: '',
    target: { case: undefined },
    channel: '',
    variables: {},
    placeholders: {},
    minSeq: 0n,
    requestId: '',
    labels: {},
    fallbackText: '',
    view: 0,
  };
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((5 << 3) | BYTES)) readEntry(reader, request.variables, readVariable);
    else if (tag === ((1 << 3) | BYTES)) request.tenant = reader.string();
    else if (tag === ((2 << 3) | BYTES)) request.target = readBundleTarget(reader, request.target);
    else if (tag === ((3 << 3) | VARINT)) request.target = { case: 'type', value: reader.number(MAX_INT32) };
    else if (tag === ((4 << 3) | BYTES)) request.channel = reader.string();
    else if (tag === ((6 << 3) | BYTES)) readEntry(reader, request.placeholders, readPlaceholder);
    else if (tag === ((7 << 3) | VARINT)) request.minSeq = BigInt(reader.number(Number.MAX_SAFE_INTEGER));
    else if (tag === ((8 << 3) | BYTES)) request.requestId = reader.string();
    else if (tag === ((9 << 3) | BYTES)) readEntry(reader, request.labels, readLabel);
    else if (tag === ((10 << 3) | BYTES)) request.fallbackText = reader.string();
    else if (tag === ((11 << 3) | VARINT)) request.view = reader.number(MAX_INT32);
    else throw UNKNOWN;
  }
  return request;
}

/** A message in a field. */
function read<T>(reader: WireReader, readMessage: (reader: WireReader) => T): T {
  const outer = reader.enter();
  const message = readMessage(reader);
  reader.leave(outer);
  return message;
}

/** The messages of a message that has one field. */
function readItems<T>(reader: WireReader, readItem: (reader: WireReader) => T): T[] {
  const items: T[] = [];
  while (reader.more()) {
    if (reader.tag() !== ((1 << 3) | BYTES)) throw UNKNOWN;
    items.push(read(reader, readItem));
  }
  return items;
}

/** Two bundles would become one. */
function readBundleTarget(reader: WireReader, before: RenderRequest['target']): RenderRequest['target'] {
  if (before.case === 'bundle') throw UNKNOWN;
  return { case: 'bundle', value: read(reader, readBundle) };
}

function readBundle(reader: WireReader): BundleTarget {
  const bundle: BundleTarget = { $typeName: 'platen.v1.BundleTarget', bundleId: '', selector: { case: undefined } };
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | BYTES)) bundle.bundleId = reader.string();
    else if (tag === ((2 << 3) | BYTES)) bundle.selector = { case: 'version', value: reader.string() };
    else if (tag === ((3 << 3) | BYTES)) bundle.selector = { case: 'channel', value: reader.string() };
    else throw UNKNOWN;
  }
  return bundle;
}

function readMessageList(reader: WireReader): MessageList {
  return { $typeName: 'platen.v1.MessageList', messages: readItems(reader, readMessage) };
}

function readMessage(reader: WireReader): Message {
  const message: Message = { $typeName: 'platen.v1.Message', role: 0, content: '' };
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | VARINT)) message.role = reader.number(MAX_INT32);
    else if (tag === ((2 << 3) | BYTES)) message.content = reader.string();
    else throw UNKNOWN;
  }
  return message;
}

/** An entry of a map: the key, then the value. */
function readEntry<T>(reader: WireReader, map: Record<string, T>, readField: (reader: WireReader) => T): void {
  const outer = reader.enter();
  if (reader.tag() !== ((1 << 3) | BYTES)) throw UNKNOWN;
  const key = reader.string();
  // Assigning to `__proto__` would set the prototype.
  if (reader.tag() !== ((2 << 3) | BYTES) || key === '__proto__') throw UNKNOWN;
  map[key] = readField(reader);
  reader.leave(outer);
}

function readVariable(reader: WireReader): Value {
  return read(reader, readValue);
}

function readPlaceholder(reader: WireReader): MessageList {
  return read(reader, readMessageList);
}

function readLabel(reader: WireReader): string {
  return reader.string();
}

/** Of one kind, or none. */
function readValue(reader: WireReader): Value {
  return { $typeName: 'google.protobuf.Value', kind: reader.more() ? readKind(reader) : { case: undefined } };
}

function readKind(reader: WireReader): Value['kind'] {
  switch (reader.tag()) {
    case (1 << 3) | VARINT:
      return { case: 'nullValue', value: reader.number(MAX_INT32) };
    case (2 << 3) | FIXED64:
      return { case: 'numberValue', value: reader.double() };
    case (3 << 3) | BYTES:
      return { case: 'stringValue', value: reader.string() };
    case (4 << 3) | VARINT:
      return { case: 'boolValue', value: reader.number(MAX_INT32) !== 0 };
    case (5 << 3) | BYTES:
      return { case: 'structValue', value: read(reader, readStruct) };
    case (6 << 3) | BYTES:
      return { case: 'listValue', value: read(reader, readList) };
    default:
      throw UNKNOWN;
  }
}

function readStruct(reader: WireReader): Struct {
  const fields: Record<string, Value> = {};
  while (reader.more()) {
    if (reader.tag() !== ((1 << 3) | BYTES)) throw UNKNOWN;
    readEntry(reader, fields, readVariable);
  }
  return { $typeName: 'google.protobuf.Struct', fields };
}

function readList(reader: WireReader): ListValue {
  return { $typeName: 'google.protobuf.ListValue', values: readItems(reader, readValue) };
}

/** Messages are written in one go, so that one is enough. */
const writer = new WireWriter();

/** What a response has beside its text, in bytes: a good guess. */
const ASIDE = 480;

function encodeResponse(init: ResponseInit): Buffer {
  writer.begin();
  writeResponse(init);
  return writer.finish();
}

function encodeBatch({ outcomes = [] }: BatchInit): Buffer {
  writer.begin();
  for (const outcome of outcomes) writeOutcome(1, outcome);
  return writer.finish();
}

function encodeAnswer({ id = 0, outcome }: AnswerInit): Buffer {
  writer.begin();
  writer.number(1, upTo(MAX_UINT32, id));
  if (outcome !== undefined) writeOutcome(2, outcome);
  return writer.finish();
}

function writeOutcome(field: number, init: OutcomeInit): void {
  const { outcome } = init;
  if (outcome?.case === 'response') {
    const guess = ASIDE + (outcome.value.text ?? '').length;
    const begin = writer.open(field, guess);
    const beginResponse = writer.open(1, guess);
    writeResponse(outcome.value);
    writer.close(beginResponse, guess);
    writer.close(begin, guess);
  } else {
    const error = toBinary(RenderOutcomeSchema, create(RenderOutcomeSchema, init));
    const begin = writer.open(field, error.length);
    writer.raw(error);
    writer.close(begin, error.length);
  }
}

function writeResponse(init: ResponseInit): void {
  writer.string(1, init.text);
  for (const message of init.messages ?? []) writeMessage(message);
  writer.string(3, init.renderId);
  writer.string(4, init.renderedHash);
  writer.string(5, init.bundleHash);
  writer.string(6, init.personalityHash);
  writer.string(7, init.variablesHash);
  writer.string(8, init.tenant);
  writer.string(9, init.bundleId);
  writer.string(10, init.version);
  writer.string(11, init.channel);
  writer.number(12, upTo(MAX_INT32, init.revision ?? 0));
  writer.number(13, upTo(Number.MAX_SAFE_INTEGER, Number(init.seq ?? 0)));
  writer.number(14, upTo(MAX_INT32, init.source ?? 0));
  if (init.modelConfig !== undefined) writer.raw(modelConfigField(init.modelConfig));
  const { constraints = [], warnings = [] } = init;
  if (constraints.length > 0) writer.raw(toBinary(RenderResponseSchema, create(RenderResponseSchema, { constraints })));
  for (const warning of warnings) writeWarning(warning);
}

function writeMessage({ role = 0, content = '' }: MessageInitShape<typeof MessageSchema>): void {
  const begin = writer.open(2, content.length);
  writer.number(1, upTo(MAX_INT32, role));
  writer.string(2, content);
  writer.close(begin, content.length);
}

function writeWarning({ code = 0, subject, message }: MessageInitShape<typeof WarningSchema>): void {
  const begin = writer.open(17, 0);
  writer.number(1, upTo(MAX_INT32, code));
  writer.string(2, subject);
  writer.string(3, message);
  writer.close(begin, 0);
}

function upTo(max: number, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) throw UNKNOWN;
  return value;
}

const modelConfigFields = new WeakMap<ModelConfig, Uint8Array>();

/** That of a bundle is sent with every render of it. */
function modelConfigField(modelConfig: ModelConfig): Uint8Array {
  let field = modelConfigFields.get(modelConfig);
  if (field === undefined) {
    field = toBinary(RenderResponseSchema, create(RenderResponseSchema, { modelConfig }));
    modelConfigFields.set(modelConfig, field);
  }
  return field;
}
