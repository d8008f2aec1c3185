import type { BinaryReadOptions, JsonReadOptions } from '@bufbuild/protobuf';

/** The largest request that either port reads, in bytes after decompression. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/** The largest set of headers that either port reads, in bytes. */
export const MAX_HEADER_BYTES = 16 * 1024;

/**
 * How deep messages may nest when they are decoded. Each level of a google.protobuf.Value is two messages; values that
 * are too deep for validation, but not for this, are refused by name (`text-check.ts`).
 */
export const DECODE_OPTIONS: Partial<BinaryReadOptions & JsonReadOptions> = { recursionLimit: 300 };
