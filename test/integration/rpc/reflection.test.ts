import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodOptions_IdempotencyLevel,
} from '@bufbuild/protobuf/wkt';
import { Client, type ClientDuplexStream, type ServiceError, credentials, status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from '../../../gen/grpc/reflection/v1/reflection_pb.js';
import { TestServer, fakeAudit, fakeServices } from '../../support/rpc-server.ts';

type Ask = ServerReflectionRequest['messageRequest'];

const run = promisify(execFile);
const buf = join(dirname(createRequire(import.meta.url).resolve('@bufbuild/buf/package.json')), 'bin', 'buf');
const identity = (bytes: Buffer) => bytes;

describe('Reflection serves the whole descriptor set', () => {
  let server: TestServer;
  let client: Client;

  before(async () => {
    server = await TestServer.start([...fakeServices(), fakeAudit({})]);
    client = new Client(server.addresses.grpcAddress, credentials.createInsecure());
  });
  after(() => {
    client.close();
    return server.stop();
  });

  function open(version: string): ClientDuplexStream<Buffer, Buffer> {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    return client.makeBidiStreamRequest(path, identity, identity);
  }

  /** The answers to questions of one stream. */
  async function ask(questions: Ask[], version = 'v1'): Promise<ServerReflectionResponse[]> {
    const stream = open(version);
    for (const messageRequest of questions) {
      const message = create(ServerReflectionRequestSchema, { host: 'h', messageRequest });
      stream.write(Buffer.from(toBinary(ServerReflectionRequestSchema, message)));
    }
    stream.end();
    const answers = [];
    for await (const bytes of stream) answers.push(fromBinary(ServerReflectionResponseSchema, bytes as Buffer));
    return answers;
  }

  async function filesFor(question: Ask): Promise<FileDescriptorProto[]> {
    const [answer] = await ask([question]);
    const response = answer?.messageResponse;
    assert.equal(response?.case, 'fileDescriptorResponse', JSON.stringify(response?.value));
    return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  }

  const SERVICES = [
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
    'platen.v1.AuditService',
    'platen.v1.RenderService',
    'platen.v1.TenantService',
  ];

  for (const version of ['v1', 'v1alpha']) {
    it(`lists the services (${version})`, async () => {
      const [answer] = await ask([{ case: 'listServices', value: '*' }], version);
      assert.equal(answer?.validHost, 'h');
      assert.deepEqual(answer?.originalRequest?.messageRequest, { case: 'listServices', value: '*' });
      const response = answer?.messageResponse;
      assert.equal(response?.case, 'listServicesResponse');
      assert.deepEqual(response.value.service.map(({ name }) => name), SERVICES);
    });
  }

  const SYMBOLS: [symbol: string, file: string][] = [
    ['platen.v1.RenderService', 'platen/v1/render_service.proto'],
    ['platen.v1.RenderService.Render', 'platen/v1/render_service.proto'],
    ['platen.v1.RenderRequest', 'platen/v1/render_service.proto'],
    ['platen.v1.RenderRequest.tenant', 'platen/v1/render_service.proto'],
    ['platen.v1.RenderRequest.target', 'platen/v1/render_service.proto'],
    ['platen.v1.AuditService.VerifyAudit', 'platen/v1/audit_service.proto'],
    ['platen.v1.PromptType', 'platen/v1/resources.proto'],
    ['platen.v1.PROMPT_TYPE_GREETING', 'platen/v1/resources.proto'],
    ['platen.v1.ErrorReason', 'platen/v1/errors.proto'],
    ['google.rpc.ErrorInfo', 'google/rpc/error_details.proto'],
    ['google.rpc.BadRequest.FieldViolation', 'google/rpc/error_details.proto'],
    ['google.rpc.Status', 'google/rpc/status.proto'],
    ['google.rpc.Code', 'google/rpc/code.proto'],
    ['google.protobuf.Value', 'google/protobuf/struct.proto'],
    ['google.protobuf.NULL_VALUE', 'google/protobuf/struct.proto'],
    ['grpc.health.v1.HealthCheckResponse.ServingStatus', 'grpc/health/v1/health.proto'],
    ['grpc.health.v1.HealthCheckResponse.SERVING', 'grpc/health/v1/health.proto'],
    ['grpc.reflection.v1.ServerReflection', 'grpc/reflection/v1/reflection.proto'],
    ['grpc.reflection.v1alpha.ServerReflection', 'grpc/reflection/v1alpha/reflection.proto'],
  ];
  for (const [symbol, file] of SYMBOLS) {
    it(`finds ${symbol}`, async () => {
      const files = await filesFor({ case: 'fileContainingSymbol', value: symbol });
      assert.equal(files[0]?.name, file);
    });
  }

  it('tells which methods answer with a stream', async () => {
    const [file] = await filesFor({ case: 'fileContainingSymbol', value: 'platen.v1.AuditService' });
    const streams = file?.service[0]?.method.filter(({ serverStreaming }) => serverStreaming);
    assert.deepEqual(streams?.map(({ name }) => name), ['ReplayReceipts', 'VerifyAudit']);
  });

  it('tells which methods take requests in a stream', async () => {
    const [file] = await filesFor({ case: 'fileContainingSymbol', value: 'platen.v1.RenderService' });
    const streams = file?.service[0]?.method.filter(({ clientStreaming }) => clientStreaming);
    assert.deepEqual(streams?.map(({ name, serverStreaming }) => [name, serverStreaming]), [['RenderStream', true]]);
  });

  it('sends all that a file imports with it', async () => {
    const files = await filesFor({ case: 'fileByFilename', value: 'platen/v1/render_service.proto' });
    assert.deepEqual(files.map(({ name }) => name), [
      'platen/v1/render_service.proto',
      'platen/v1/resources.proto',
      'google/rpc/status.proto',
      'google/protobuf/any.proto',
      'google/protobuf/timestamp.proto',
      'google/protobuf/struct.proto',
    ]);
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: files.toReversed() }));
    assert.ok(registry.getService('platen.v1.RenderService'));
  });

  it('keeps options', async () => {
    const [file] = await filesFor({ case: 'fileContainingSymbol', value: 'platen.v1.RenderService' });
    const preview = file?.service[0]?.method.find(({ name }) => name === 'Preview');
    assert.equal(preview?.options?.idempotencyLevel, MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS);
  });

  it('answers several questions of one stream in order, and errors among them', async () => {
    const extension = { containingType: 'platen.v1.RenderRequest', extensionNumber: 5 };
    const answers = await ask([
      { case: 'fileByFilename', value: 'nothing.proto' },
      { case: 'fileContainingSymbol', value: 'platen.v1.Nothing' },
      { case: 'fileContainingExtension', value: { $typeName: 'grpc.reflection.v1.ExtensionRequest', ...extension } },
      { case: 'allExtensionNumbersOfType', value: 'platen.v1.RenderRequest' },
      { case: 'allExtensionNumbersOfType', value: 'platen.v1.Nothing' },
      { case: undefined },
    ]);
    const seen = answers.map(({ messageResponse: { case: kind, value } }) => {
      if (kind === 'errorResponse') return [value.errorCode, value.errorMessage];
      if (kind === 'allExtensionNumbersResponse') return [value.baseTypeName, value.extensionNumber];
      return kind;
    });
    assert.deepEqual(seen, [
      [status.NOT_FOUND, 'file nothing.proto is not known here'],
      [status.NOT_FOUND, 'symbol platen.v1.Nothing is not known here'],
      [status.NOT_FOUND, 'extension 5 of platen.v1.RenderRequest is not known here'],
      ['platen.v1.RenderRequest', []],
      [status.NOT_FOUND, 'message platen.v1.Nothing is not known here'],
      [status.INVALID_ARGUMENT, 'the request asks for nothing'],
    ]);
  });

  it('ends a stream of malformed bytes with INVALID_ARGUMENT', async () => {
    const stream = open('v1');
    stream.write(Buffer.from([0xff]));
    stream.resume();
    const error = await new Promise<ServiceError>((resolve) => stream.once('error', resolve as (e: Error) => void));
    assert.equal(error.code, status.INVALID_ARGUMENT);
  });

  it('lets buf curl call a method without a proto file', async function () {
    this.timeout(60_000);
    const url = `${server.grpcUrl}/platen.v1.RenderService/Render`;
    const data = '{"tenant":"acme","variables":{"a":{"b":[1]}}}';
    const { stdout } = await run(process.execPath, [
      buf, 'curl', '--protocol', 'grpc', '--http2-prior-knowledge', '--data', data, url,
    ]);
    assert.deepEqual(JSON.parse(stdout), { text: 'hello acme', tenant: 'acme' });
  });

  it('lets buf curl list methods', async function () {
    this.timeout(60_000);
    const { stdout } = await run(process.execPath, [
      buf, 'curl', '--http2-prior-knowledge', '--protocol', 'grpc', '--list-methods', server.grpcUrl,
    ]);
    assert.match(stdout, /platen\.v1\.RenderService\/Render/);
    assert.match(stdout, /grpc\.health\.v1\.Health\/Check/);
  });
});
