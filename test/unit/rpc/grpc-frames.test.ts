import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import {
  FrameCompressed,
  FrameReader,
  FrameTooLong,
  PREFIX_BYTES,
  allocateFrame,
} from '../../../src/rpc/grpc-frames.ts';

const MAX_BYTES = 1000;

function framed(message: Uint8Array): Buffer {
  const frame = allocateFrame(message.length);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

function text(messages: readonly Buffer[]): string[] {
  return messages.map(String);
}

describe('Messages in a stream of bytes', () => {
  let reader: FrameReader;

  beforeEach(() => (reader = new FrameReader(MAX_BYTES)));

  it('stand after a byte for compression and their length in four bytes', () => {
    const frame = framed(Buffer.alloc(0x0102));
    assert.deepEqual([...frame.subarray(0, PREFIX_BYTES)], [0, 0, 0, 1, 2]);
    assert.equal(frame.length, PREFIX_BYTES + 0x0102);
  });

  it('are found where several came in one chunk', () => {
    const chunk = Buffer.concat(['one', 'two', 'three'].map((each) => framed(Buffer.from(each))));
    assert.deepEqual(text(reader.read(chunk)), ['one', 'two', 'three']);
    assert.deepEqual(reader.read(framed(Buffer.from('four'))).map(String), ['four']);
  });

  it('that are whole in a chunk are not copied', () => {
    const chunk = framed(Buffer.from('one'));
    const [message] = reader.read(chunk);
    assert.equal(message!.buffer, chunk.buffer);
    assert.equal(message!.byteOffset, chunk.byteOffset + PREFIX_BYTES);
  });

  it('may be empty, also one after the other', () => {
    const empty = framed(Buffer.alloc(0));
    assert.deepEqual(text(reader.read(Buffer.concat([empty, empty, framed(Buffer.from('a')), empty]))), ['', '', 'a', '']);
    assert.deepEqual(reader.read(empty.subarray(0, 4)), []);
    assert.deepEqual(text(reader.read(empty.subarray(4))), ['']);
  });

  it('are not there in a chunk without bytes', () => {
    const frame = framed(Buffer.from('one'));
    for (const cut of [0, 3, 7]) {
      assert.deepEqual(reader.read(frame.subarray(0, cut)), []);
      assert.deepEqual(reader.read(Buffer.alloc(0)), []);
      assert.deepEqual(text(reader.read(frame.subarray(cut))), ['one'], String(cut));
    }
  });

  it('are the same wherever they are cut', () => {
    const expected = ['one', '', 'x'.repeat(300), 'last'];
    const bytes = Buffer.concat(expected.map((each) => framed(Buffer.from(each))));
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const messages = [...reader.read(bytes.subarray(0, cut)), ...reader.read(bytes.subarray(cut))];
      assert.deepEqual(text(messages), expected, `cut at ${cut}`);
    }
  });

  it('are the same in pieces of any size', () => {
    const expected = ['one', '', 'x'.repeat(300), 'last'];
    const bytes = Buffer.concat(expected.map((each) => framed(Buffer.from(each))));
    for (let size = 1; size < bytes.length; size += 1) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      assert.deepEqual(text(pieces.flatMap((piece) => reader.read(piece))), expected, `pieces of ${size}`);
    }
  });

  it('may be as long as the reader takes, and no longer', () => {
    assert.equal(reader.read(framed(Buffer.alloc(MAX_BYTES)))[0]!.length, MAX_BYTES);
    const tooLong = framed(Buffer.alloc(MAX_BYTES + 1));
    const expected = { constructor: FrameTooLong, message: 'Received message larger than max (1001 vs 1000)' };
    assert.throws(() => reader.read(tooLong), expected);
  });

  it('that are too long are refused by their prefix, before they are there', () => {
    const longest = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
    assert.deepEqual(reader.read(longest.subarray(0, 4)), []);
    assert.throws(() => reader.read(longest.subarray(4)), /\(4294967295 vs 1000\)/);
  });

  it('that are compressed are refused, whatever the byte says', () => {
    for (const flag of [1, 2, 255]) {
      const frame = framed(Buffer.from('one'));
      frame[0] = flag;
      assert.throws(() => new FrameReader(MAX_BYTES).read(frame), FrameCompressed);
    }
  });
});

describe('Frames share memory', () => {
  const KIB = 1024;

  it('and nothing is written to one by another', () => {
    const lengths = [0, 1, 4 * KIB, 8 * KIB, 40 * KIB, 8 * KIB - PREFIX_BYTES, 3, 20 * KIB, 100];
    const frames = Array.from({ length: 30 * lengths.length }, (_, n) => {
      const length = lengths[n % lengths.length]!;
      return { n, length, frame: framed(Buffer.alloc(length, n)) };
    });
    for (const { n, length, frame } of frames) {
      assert.equal(frame.readUInt32BE(1), length);
      assert.equal(frame.length, PREFIX_BYTES + length);
      assert.ok(frame.subarray(PREFIX_BYTES).every((byte) => byte === n % 256));
    }
  });

  it('of which one that waits for its reader keeps little more than itself', () => {
    for (const length of [0, 4 * KIB, 20 * KIB, 1024 * KIB]) {
      const frame = allocateFrame(length);
      assert.ok(frame.buffer.byteLength <= Math.max(32 * KIB, frame.length), `${frame.buffer.byteLength} for ${length}`);
    }
  });
});
