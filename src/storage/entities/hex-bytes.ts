import { Type } from '@mikro-orm/postgresql';

const HEX = /^(?:[0-9a-f]{2})*$/;

/** A hash in lower-case hex, kept as its bytes; empty text as no bytes. What a filter names instead equals no hash. */
export class HexBytes extends Type<string, Buffer> {
  override convertToDatabaseValue(hex: string): Buffer {
    return Buffer.from(hex, HEX.test(hex) ? 'hex' : 'utf8');
  }

  override convertToJSValue(bytes: Buffer): string {
    return bytes.toString('hex');
  }

  override getColumnType(): string {
    return 'bytea';
  }

  override compareAsType(): string {
    return 'string';
  }
}
