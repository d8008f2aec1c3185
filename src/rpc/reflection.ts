import { Buffer } from 'node:buffer';
import { type MessageInitShape, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Server, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { file_google_rpc_code } from '../../gen/google/rpc/code_pb.js';
import { file_google_rpc_error_details } from '../../gen/google/rpc/error_details_pb.js';
import { file_google_rpc_status } from '../../gen/google/rpc/status_pb.js';
import { Health } from '../../gen/grpc/health/v1/health_pb.js';
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ServerReflectionAlpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { file_platen_v1_errors } from '../../gen/platen/v1/errors_pb.js';
import { DescriptorIndex } from './descriptor-index.ts';
import type { ServedService } from './method.ts';
import type { OpenStreams } from './open-streams.ts';

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>;

/** What every server serves beside its own services. */
const STANDARD_SERVICES = [Health, ServerReflection, ServerReflectionAlpha];
/** What no service names, and clients need to read errors. */
const ERROR_FILES = [
  file_google_rpc_code,
  file_google_rpc_error_details,
  file_google_rpc_status,
  file_platen_v1_errors,
];

/**
 * Serves grpc.reflection.v1 and v1alpha over the descriptors of the services, of health, of reflection itself and of
 * the error details. Files are whole, options included, and each comes with all that it imports, so that clients need
 * no proto file. The two versions differ in name only: their messages are the same on the wire.
 */
export function addReflection(server: Server, services: readonly ServedService[], streams: OpenStreams): void {
  const descriptors = [...services.map(({ service }) => service), ...STANDARD_SERVICES];
  const index = new DescriptorIndex([...descriptors.map(({ file }) => file), ...ERROR_FILES]);
  const names = descriptors.map(({ typeName }) => typeName).toSorted();

  function serve(call: ServerDuplexStream<Buffer, Buffer>): void {
    streams.add(call);
    call.on('data', (bytes: Buffer) => {
      const request = decode(bytes);
      if (request === undefined) call.emit('error', { code: status.INVALID_ARGUMENT, details: 'malformed request' });
      else call.write(encode(request, answer(index, names, request)));
    });
    call.on('end', () => call.end());
  }

  for (const { typeName } of [ServerReflection, ServerReflectionAlpha]) {
    server.register(`/${typeName}/ServerReflectionInfo`, serve, identity, identity, 'bidi');
  }
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

function decode(bytes: Buffer): ServerReflectionRequest | undefined {
  try {
    return fromBinary(ServerReflectionRequestSchema, bytes);
  } catch {
    return undefined;
  }
}

function encode(originalRequest: ServerReflectionRequest, messageResponse: Answer): Buffer {
  const { host: validHost } = originalRequest;
  const response = create(ServerReflectionResponseSchema, { validHost, originalRequest, messageResponse });
  return Buffer.from(toBinary(ServerReflectionResponseSchema, response));
}

function answer(index: DescriptorIndex, names: readonly string[], { messageRequest }: ServerReflectionRequest): Answer {
  switch (messageRequest.case) {
    case 'fileByFilename':
      return filesOr(index.byName(messageRequest.value), `file ${messageRequest.value}`);
    case 'fileContainingSymbol':
      return filesOr(index.bySymbol(messageRequest.value), `symbol ${messageRequest.value}`);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = messageRequest.value;
      const files = index.byExtension(containingType, extensionNumber);
      return filesOr(files, `extension ${extensionNumber} of ${containingType}`);
    }
    case 'allExtensionNumbersOfType': {
      const baseTypeName = messageRequest.value;
      const extensionNumber = index.extensionNumbers(baseTypeName);
      if (extensionNumber === undefined) return notFound(`message ${baseTypeName}`);
      return { case: 'allExtensionNumbersResponse', value: { baseTypeName, extensionNumber } };
    }
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: names.map((name) => ({ name })) } };
    default:
      return {
        case: 'errorResponse',
        value: { errorCode: status.INVALID_ARGUMENT, errorMessage: 'the request asks for nothing' },
      };
  }
}

function filesOr(fileDescriptorProto: Uint8Array[] | undefined, what: string): Answer {
  if (fileDescriptorProto === undefined) return notFound(what);
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function notFound(what: string): Answer {
  return { case: 'errorResponse', value: { errorCode: status.NOT_FOUND, errorMessage: `${what} is not known here` } };
}
