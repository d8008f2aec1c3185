import assert from 'node:assert/strict';
import { type DescFile, create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  file_google_protobuf_compiler_plugin,
  file_google_protobuf_cpp_features,
  file_google_protobuf_descriptor,
  file_google_protobuf_go_features,
  file_google_protobuf_java_features,
} from '@bufbuild/protobuf/wkt';
import { DescriptorIndex } from '../../../src/rpc/descriptor-index.ts';

function names(files: Uint8Array[] | undefined): string[] | undefined {
  return files?.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

describe('Reflection serves the whole descriptor set', () => {
  const index = new DescriptorIndex([
    file_google_protobuf_go_features,
    file_google_protobuf_cpp_features,
    file_google_protobuf_java_features,
    file_google_protobuf_compiler_plugin,
  ]);
  const GO = ['google/protobuf/go_features.proto', 'google/protobuf/descriptor.proto'];

  it('finds a file with what it imports', () => {
    assert.deepEqual(names(index.byName('google/protobuf/go_features.proto')), GO);
    assert.equal(index.byName('nothing.proto'), undefined);
  });

  it('finds imported files too', () => {
    const files = index.bySymbol('google.protobuf.FileDescriptorProto');
    assert.deepEqual(names(files), ['google/protobuf/descriptor.proto']);
  });

  it('finds nested messages, their enums and the values of these', () => {
    for (const symbol of [
      'google.protobuf.FieldDescriptorProto.Type',
      'google.protobuf.FieldDescriptorProto.TYPE_STRING',
      'google.protobuf.DescriptorProto.ExtensionRange',
      'google.protobuf.DescriptorProto.ExtensionRange.start',
    ]) {
      assert.deepEqual(names(index.bySymbol(symbol)), ['google/protobuf/descriptor.proto'], symbol);
    }
  });

  it('finds extensions by name and by number', () => {
    assert.deepEqual(names(index.bySymbol('pb.go')), GO);
    assert.deepEqual(names(index.byExtension('google.protobuf.FeatureSet', 1002)), GO);
    assert.equal(index.byExtension('google.protobuf.FeatureSet', 5), undefined);
    assert.equal(index.byExtension('google.protobuf.Nothing', 5), undefined);
  });

  it('finds extensions that are declared inside a message', () => {
    const { OPTIONAL: label } = FieldDescriptorProto_Label;
    const { STRING: type } = FieldDescriptorProto_Type;
    const note = { name: 'note', number: 50_000, label, type, extendee: '.google.protobuf.MessageOptions' };
    const proto = create(FileDescriptorProtoSchema, {
      name: 'nested.proto',
      package: 'test',
      dependency: ['google/protobuf/descriptor.proto'],
      messageType: [{ name: 'Holder', extension: [note] }],
    });
    const registry = createFileRegistry(proto, () => file_google_protobuf_descriptor);
    const nested = new DescriptorIndex([registry.getFile('nested.proto') as DescFile]);
    const files = ['nested.proto', 'google/protobuf/descriptor.proto'];
    assert.deepEqual(names(nested.bySymbol('test.Holder.note')), files);
    assert.deepEqual(names(nested.byExtension('google.protobuf.MessageOptions', 50_000)), files);
  });

  it('lists the numbers of extensions, ascending', () => {
    assert.deepEqual(index.extensionNumbers('google.protobuf.FeatureSet'), [1000, 1001, 1002]);
    assert.deepEqual(index.extensionNumbers('google.protobuf.DescriptorProto'), []);
    assert.equal(index.extensionNumbers('google.protobuf.Nothing'), undefined);
  });
});
