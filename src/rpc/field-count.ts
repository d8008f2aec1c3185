import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { DomainError, InvalidInput } from '../domain/errors.ts';
import { UnreadableRequest } from './errors.ts';
import { DECODE_RECURSION_LIMIT, MAX_REQUEST_FIELDS } from './limits.ts';

const TOO_MANY = `the request has more than ${MAX_REQUEST_FIELDS} fields, those inside lists and objects counted`;

/** The request is too much as a whole; no field is at fault. */
class TooManyFields extends InvalidInput {
  constructor() {
    super([{ field: '', reason: 'TOO_MANY', description: TOO_MANY }]);
    this.message = TOO_MANY;
  }
}

/** How a field is read, whatever wire type stands beside its number: so does the decoder. */
interface FieldShape {
  readonly wireType: WireType;
  /** What a message or an entry of a map is made of. */
  readonly message?: MessageShape;
  /** Its name, if the decoder copies what it holds for every further piece that comes. */
  readonly copied?: string;
}

/** By number. */
type MessageShape = Map<number, FieldShape>;

/** Fewest bytes of a field. */
const FIELD_BYTES = 2;
/** In messages and map entries: of the three around a value in an object, the decoder counts two. */
const MAX_DEPTH = 1.5 * DECODE_RECURSION_LIMIT;

const WIRE_TYPES: Partial<Record<ScalarType, WireType>> = {
  [ScalarType.STRING]: WireType.LengthDelimited,
  [ScalarType.DOUBLE]: WireType.Bit64,
};

/**
 * Compiles the check that a request in protobuf may be decoded: decoding makes an object of every two bytes, and copies
 * a google.protobuf.Struct whole for every further piece of it. It takes a fraction of the time that decoding takes.
 * @returns throws InvalidInput if there are more than 50,000 fields, at whatever depth; UnreadableRequest for groups
 *   and for a Struct in pieces. What else is wrong is for the decoder, which gets no further than the count did.
 */
export function compileFieldCount(desc: DescMessage): (bytes: Uint8Array) => void {
  const shape = messageShape(desc, new Map());
  const few = holdsStruct(desc) ? 0 : FIELD_BYTES * MAX_REQUEST_FIELDS;
  return (bytes) => {
    if (bytes.byteLength <= few) return;
    try {
      new FieldCount(bytes).countMessage(shape, bytes.byteLength, 1);
    } catch (error) {
      if (error instanceof DomainError) throw error;
    }
  };
}

function messageShape(desc: DescMessage, known: Map<DescMessage, MessageShape>): MessageShape {
  const made = known.get(desc);
  if (made !== undefined) return made;
  const shape: MessageShape = new Map();
  // Known before its fields are looked at, so that a type that contains itself ends here.
  known.set(desc, shape);
  for (const field of desc.fields) shape.set(field.number, fieldShape(field, known));
  return shape;
}

function fieldShape(field: DescField, known: Map<DescMessage, MessageShape>): FieldShape {
  const value = field.message ? nested(messageShape(field.message, known)) : { wireType: wireType(field.scalar) };
  if (field.fieldKind === 'map') return nested(new Map([[1, { wireType: wireType(field.mapKey) }], [2, value]]));
  if (field.fieldKind === 'message' && holdsStruct(field.message)) return { ...value, copied: field.name };
  return value;
}

function nested(message: MessageShape): FieldShape {
  return { wireType: WireType.LengthDelimited, message };
}

function wireType(scalar: ScalarType | undefined): WireType {
  return (scalar && WIRE_TYPES[scalar]) ?? WireType.Varint;
}

/** Whether it holds a Struct that the decoder keeps as JSON; one inside a Value it keeps as a message. */
function holdsStruct({ typeName, fields }: DescMessage): boolean {
  if (typeName.startsWith('google.protobuf.')) return typeName === 'google.protobuf.Struct';
  return fields.some(({ message }) => message !== undefined && holdsStruct(message));
}

/** Walks through a message as the decoder does, making nothing. */
class FieldCount {
  readonly #reader: BinaryReader;
  #left = MAX_REQUEST_FIELDS;

  constructor(bytes: Uint8Array) {
    this.#reader = new BinaryReader(bytes);
  }

  countMessage(shape: MessageShape, end: number, depth: number): void {
    if (depth > MAX_DEPTH) throw new RangeError('the decoder ends here');
    const reader = this.#reader;
    let copied: Set<number> | undefined;
    while (reader.pos < end) {
      const tag = reader.uint32();
      this.#left -= 1;
      if (this.#left < 0) throw new TooManyFields();
      const number = tag >>> 3;
      const field = shape.get(number);
      if (field?.copied !== undefined) {
        copied ??= new Set();
        if (copied.has(number)) throw new UnreadableRequest(`${field.copied} comes in pieces; send it as one`);
        copied.add(number);
      }
      if (field?.message === undefined) this.#skip(field?.wireType ?? tag & 7);
      else this.countMessage(field.message, this.#endOfNested(), depth + 1);
    }
  }

  #endOfNested(): number {
    const length = this.#reader.uint32();
    return this.#reader.pos + length;
  }

  #skip(wireType: number): void {
    if (wireType === WireType.StartGroup) throw new UnreadableRequest('it holds a group, and the contract has none');
    if (wireType === WireType.LengthDelimited) this.#reader.pos = this.#endOfNested();
    else this.#reader.skip(wireType);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/**
 * The same for a request in JSON, before it is parsed, by the commas, colons and opening brackets outside strings. An
 * item of a list is one field, a member of an object three: that is what they take to decode.
 * @throws InvalidInput if there are more than 50,000
 */
export function countJsonFields(bytes: Uint8Array): void {
  let fields = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) {
      inString = !inString;
    } else if (inString) {
      if (byte === BACKSLASH) i += 1;
    } else if (byte === COMMA || byte === BRACKET || byte === BRACE) {
      fields += 1;
    } else if (byte === COLON) {
      fields += 2;
    }
    if (fields > MAX_REQUEST_FIELDS) throw new TooManyFields();
  }
}
