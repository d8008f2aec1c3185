import type { BinaryReadOptions, JsonReadOptions } from '@bufbuild/protobuf';

/** The largest request that either port reads, in bytes after decompression. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/**
 * The fields of a request, those of nested messages counted, entries of maps and items of lists as well. Decoding holds
 * up every other call for about 1 µs a field, and 4 MiB have room for two million.
 */
export const MAX_REQUEST_FIELDS = 50_000;

/**
 * Combining marks in a row. Unicode normalization takes the square of their number: two million of them, as many as fit
 * in a request, half an hour. Letters have up to four or five, text that is overloaded in jest some dozens.
 */
export const MAX_COMBINING_MARKS = 128;

/** The largest set of headers that either port reads, in bytes. */
export const MAX_HEADER_BYTES = 16 * 1024;

/**
 * How deep messages may nest when they are decoded. Each level of a google.protobuf.Value is two messages; values that
 * are too deep for validation, but not for this, are refused by name (`text-check.ts`).
 */
export const DECODE_RECURSION_LIMIT = 300;

export const DECODE_OPTIONS: Partial<BinaryReadOptions & JsonReadOptions> = { recursionLimit: DECODE_RECURSION_LIMIT };
