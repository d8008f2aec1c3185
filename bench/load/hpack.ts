/** Places in the table that every HPACK decoder begins with (RFC 7541, appendix A). */
const AUTHORITY = 1;
const METHOD_POST = 3;
const PATH = 4;
const SCHEME_HTTP = 6;
const CONTENT_TYPE = 31;
/** Where a decoder's own table begins: its newest entry. */
const NEWEST = 62;
/** A name and a value that the decoder shall add to its table; in place of 0, the place of a name that it knows. */
const ADDED = 0x40;
/** A whole field by its place. */
const INDEXED = 0x80;

/** The header block of a call, as clients send it: in full once per connection, then by reference. */
export interface HeaderBlocks {
  readonly first: Buffer;
  readonly next: Buffer;
}

/**
 * What a gRPC call begins with. The four fields it adds fit into the table of 4096 octets that every decoder has unless
 * it says otherwise; strings are not compressed.
 */
export function requestHeaders(authority: string, path: string): HeaderBlocks {
  const added = [
    field(AUTHORITY, authority),
    field(PATH, path),
    field(CONTENT_TYPE, 'application/grpc'),
    Buffer.concat([Buffer.of(ADDED), string('te'), string('trailers')]),
  ];
  const known = Buffer.of(INDEXED | METHOD_POST, INDEXED | SCHEME_HTTP);
  const references = Buffer.from(added.map((_, n) => INDEXED | (NEWEST + added.length - 1 - n)));
  return { first: Buffer.concat([known, ...added]), next: Buffer.concat([known, references]) };
}

function field(name: number, value: string): Buffer {
  return Buffer.concat([Buffer.of(ADDED | name), string(value)]);
}

/** Of at most 126 octets: longer ones need more than one for their length. */
function string(value: string): Buffer {
  if (value.length > 126) throw new RangeError(`${value} is too long for this encoder`);
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')]);
}
