import { type DescEnum, type DescExtension, type DescFile, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** Finds files of descriptors by what they define. Files are google.protobuf.FileDescriptorProto bytes. */
export class DescriptorIndex {
  readonly #filesByName = new Map<string, DescFile>();
  readonly #filesBySymbol = new Map<string, DescFile>();
  /** By the extended message, then by field number. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();

  /** @param files indexed together with all that they import */
  constructor(files: readonly DescFile[]) {
    for (const file of files) this.#addFile(file);
  }

  /** The file of this name and all that it imports, directly or not; it comes first. Undefined: unknown. */
  byName(name: string): Uint8Array[] | undefined {
    return closure(this.#filesByName.get(name));
  }

  /**
   * The same for the file that defines a fully qualified name: of a message, field, oneof, enum, enum value, service,
   * method or extension. As in protobuf, an enum value's name is a sibling of its enum's.
   */
  bySymbol(symbol: string): Uint8Array[] | undefined {
    return closure(this.#filesBySymbol.get(symbol));
  }

  /** The same for the file that extends a message with a field of this number. */
  byExtension(typeName: string, fieldNumber: number): Uint8Array[] | undefined {
    return closure(this.#extensions.get(typeName)?.get(fieldNumber));
  }

  /** Numbers of the fields that a message is extended with, ascending; undefined: no such message. */
  extensionNumbers(typeName: string): number[] | undefined {
    const numbers = this.#extensions.get(typeName);
    return numbers && [...numbers.keys()].toSorted((a, b) => a - b);
  }

  #addFile(file: DescFile): void {
    if (this.#filesByName.has(file.proto.name)) return;
    this.#filesByName.set(file.proto.name, file);
    for (const dependency of file.dependencies) this.#addFile(dependency);
    for (const message of file.messages) this.#addMessage(message, file);
    for (const enumeration of file.enums) this.#addEnum(enumeration, file.proto.package, file);
    for (const extension of file.extensions) this.#addExtension(extension, file);
    for (const service of file.services) {
      this.#filesBySymbol.set(service.typeName, file);
      for (const method of service.methods) this.#filesBySymbol.set(`${service.typeName}.${method.name}`, file);
    }
  }

  #addMessage(message: DescMessage, file: DescFile): void {
    this.#filesBySymbol.set(message.typeName, file);
    this.#extensionsOf(message.typeName);
    for (const member of [...message.fields, ...message.oneofs]) {
      this.#filesBySymbol.set(`${message.typeName}.${member.name}`, file);
    }
    for (const nested of message.nestedMessages) this.#addMessage(nested, file);
    for (const nested of message.nestedEnums) this.#addEnum(nested, message.typeName, file);
    for (const nested of message.nestedExtensions) this.#addExtension(nested, file);
  }

  #addEnum(enumeration: DescEnum, scope: string, file: DescFile): void {
    this.#filesBySymbol.set(enumeration.typeName, file);
    for (const value of enumeration.values) this.#filesBySymbol.set(`${scope}.${value.name}`, file);
  }

  #addExtension(extension: DescExtension, file: DescFile): void {
    this.#filesBySymbol.set(extension.typeName, file);
    this.#extensionsOf(extension.extendee.typeName).set(extension.number, file);
  }

  #extensionsOf(typeName: string): Map<number, DescFile> {
    const known = this.#extensions.get(typeName);
    if (known !== undefined) return known;
    const none = new Map<number, DescFile>();
    this.#extensions.set(typeName, none);
    return none;
  }
}

/** Each file before what it imports, so that the reverse can be loaded one by one. */
function closure(root: DescFile | undefined): Uint8Array[] | undefined {
  if (root === undefined) return undefined;
  const seen = new Set<DescFile>();
  const files: Uint8Array[] = [];
  function visit(file: DescFile): void {
    if (seen.has(file)) return;
    seen.add(file);
    for (const dependency of file.dependencies) visit(dependency);
    files.unshift(toBinary(FileDescriptorProtoSchema, file.proto));
  }
  visit(root);
  return files;
}
