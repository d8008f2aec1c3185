/** Before a message of gRPC: one byte that says whether it is compressed, four of its length. */
export const PREFIX_BYTES = 5;

/** A call that is due: a request of its own, or one message on a stream. */
export interface Call {
  /** On the clock of performance.now(). */
  readonly due: number;
  /** With its gRPC prefix. */
  readonly message: Buffer;
  /** Where it is among the calls that are pending; below 0: nowhere. */
  index: number;
}

/** A message as gRPC sends it: not compressed, and its length before it. */
export function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
