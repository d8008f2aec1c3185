import assert from 'node:assert/strict';
import { PREFIX_BYTES } from '../../src/rpc/grpc-frames.ts';
import * as codec from '../../src/rpc/render-codec.ts';

/** The message of a frame that is what its prefix says. */
function unframed<T>(encodeFrame: (init: T) => Buffer | undefined): (init: T) => Buffer | undefined {
  return (init) => {
    const frame = encodeFrame(init);
    if (frame === undefined) return undefined;
    assert.equal(frame[0], 0);
    assert.equal(frame.readUInt32BE(1), frame.length - PREFIX_BYTES);
    return frame.subarray(PREFIX_BYTES);
  };
}

export const encodeRenderResponse = unframed(codec.encodeRenderResponse);
export const encodeBatchRenderResponse = unframed(codec.encodeBatchRenderResponse);
export const encodeRenderStreamResponse = unframed(codec.encodeRenderStreamResponse);
