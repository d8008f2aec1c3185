import { base64Decode } from '@bufbuild/protobuf/wire';
import { type Compression, compressedFlag, type UniversalServerRequest } from '@connectrpc/connect/protocol';
import { parseContentType as parseConnectType } from '@connectrpc/connect/protocol-connect';
import { parseContentType as parseGrpcWebType } from '@connectrpc/connect/protocol-grpc-web';
import { UnreadableRequest } from './errors.ts';
import { MAX_REQUEST_BYTES } from './limits.ts';

/** What has to be said of the bytes of a message before connect decodes them. It throws if they must not be. */
export type BytesCheck = (bytes: Uint8Array) => void;

/** Of gRPC-Web and of Connect's streams, around a message: a byte of flags and the length in four bytes. */
const ENVELOPE_BYTES = 5;

/** Whether connect takes the request, or the body that it is answered with, for JSON; what it cannot take is none. */
export function speaksJson(httpMethod: string, url: string, contentType: string | null): boolean {
  if (httpMethod === 'GET') return new URL(url).searchParams.get('encoding') === 'json';
  return (parseConnectType(contentType) ?? parseGrpcWebType(contentType))?.binary === false;
}

/** The compression, with a check of what was decompressed. */
export function checkedCompression(compression: Compression, check: BytesCheck): Compression {
  return {
    ...compression,
    decompress: async (bytes, readMaxBytes) => {
      const decompressed = await compression.decompress(bytes, readMaxBytes);
      check(decompressed);
      return decompressed;
    },
  };
}

/**
 * The request with its body in one piece: connect puts the pieces of an envelope together in time that grows with their
 * square. A message that is not compressed is checked on its way.
 */
export function checkedRequest(request: UniversalServerRequest, check: BytesCheck): UniversalServerRequest {
  return { ...request, body: checkedBody(request, check) };
}

async function* checkedBody({ header, body }: UniversalServerRequest, check: BytesCheck): AsyncGenerator<Uint8Array> {
  const bytes = await readBytes(body as AsyncIterable<Uint8Array>);
  if (isEnveloped(header.get('content-type'))) checkEnvelope(bytes, check);
  else if (isPlain(header.get('content-encoding'))) check(bytes);
  yield bytes;
}

function isEnveloped(contentType: string | null): boolean {
  return parseConnectType(contentType)?.stream ?? parseGrpcWebType(contentType) !== undefined;
}

/** All of the body, or more than connect takes. */
async function readBytes(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > ENVELOPE_BYTES + MAX_REQUEST_BYTES) break;
  }
  return Buffer.concat(chunks);
}

/** Connect decodes a second message before it refuses it. */
function checkEnvelope(bytes: Buffer, check: BytesCheck): void {
  if (bytes.byteLength < ENVELOPE_BYTES) return;
  const end = ENVELOPE_BYTES + bytes.readUInt32BE(1);
  if (end < bytes.byteLength) throw new UnreadableRequest('there is more than one message');
  if ((bytes.readUInt8(0) & compressedFlag) === 0) check(bytes.subarray(ENVELOPE_BYTES));
}

/** Checks the message in the URL of a GET. */
export function checkQuery(url: string, check: BytesCheck): void {
  const query = new URL(url).searchParams;
  const message = query.get('message') ?? '';
  if (isPlain(query.get('compression'))) {
    check(query.get('base64') === '1' ? base64Decode(message) : Buffer.from(message));
  }
}

function isPlain(encoding: string | null): boolean {
  return encoding === null || encoding === 'identity';
}
