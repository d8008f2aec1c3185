import { connect, type Socket } from 'node:net';
import { Fifo } from './fifo.ts';
import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW,
  Flag,
  FRAME_HEADER_BYTES,
  FrameReader,
  FrameType,
  Setting,
  writeFrameHeader,
} from './frames.ts';
import type { HeaderBlocks } from './hpack.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** What the server may send without being told that it was read: ample for what is under way at once. */
const WINDOW = 16 * 1024 * 1024;
const CANCEL = 8;
const READ_BYTES = 64 * 1024;
const WRITE_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);

/** What hears of one stream. */
export interface StreamListener {
  /** Came in a DATA frame: bytes[from..to), which are overwritten afterwards. */
  data(bytes: Buffer, from: number, to: number): void;
  /** The server ended the stream in order: bytes[from..to) are its trailers as they came, or nothing. */
  ended(bytes: Buffer, from: number, to: number): void;
  /** Reset, or gone with the connection. `unseen`: the server said that it did not look at it and never will. */
  lost(unseen: boolean): void;
}

/** What hears of a connection. */
export interface ConnectionListener {
  /** The server has spoken: streams may be opened. */
  ready(): void;
  /** The server takes no more streams on it. Those that it has go on, apart from those lost right after this. */
  goingAway(): void;
  /** All its streams were told before. */
  closed(): void;
}

interface Stream {
  readonly id: number;
  readonly listener: StreamListener;
  /** Bytes that the server takes; below 0 if it has lowered its settings. */
  window: number;
  /** Bytes that were read and that the server was not told of. */
  unacknowledged: number;
  /** No more will be sent. */
  halfClosed: boolean;
}

interface Part {
  readonly streamId: number;
  readonly bytes: Buffer;
  readonly last: boolean;
  from: number;
}

/**
 * One HTTP/2 connection of a client that is here to cost little: it writes frames straight into the buffer that goes to
 * the socket, one write per turn of the event loop, reads into one buffer, and decodes no headers.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #headers: HeaderBlocks;
  readonly #listener: ConnectionListener;
  readonly #reader: FrameReader;
  readonly #streams = new Map<number, Stream>();
  /** What flow control holds back, in order: what comes first waits for its own stream's window, too. */
  readonly #unsent = new Fifo<Part>();
  #out = Buffer.allocUnsafeSlow(WRITE_BYTES);
  #written = 0;
  #flushed = 0;
  #nextId = 1;
  #window = DEFAULT_WINDOW;
  #streamWindow = DEFAULT_WINDOW;
  #maxStreams = Infinity;
  #unacknowledged = 0;
  #state: 'connecting' | 'ready' | 'going-away' | 'closed' = 'connecting';

  /** @param headerTable octets that the server may remember headers in; with 0 trailers can be read on their own */
  constructor(address: string, headers: HeaderBlocks, listener: ConnectionListener, headerTable = 4_096) {
    this.#headers = headers;
    this.#listener = listener;
    this.#reader = new FrameReader((...frame) => this.#onFrame(...frame));
    const { hostname, port } = new URL(`http://${address}`);
    this.#socket = connect({
      host: hostname,
      port: Number(port),
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (length, bytes) => {
          this.#reader.push(bytes as Buffer, length);
          return true;
        },
      },
    });
    // It is closed then, which is all that counts.
    this.#socket.on('error', () => {});
    this.#socket.once('close', () => this.#onClose());
    this.#writePreface(headerTable);
  }

  /** Whether a stream may be opened. */
  get hasRoom(): boolean {
    return this.#state === 'ready' && this.#streams.size < this.#maxStreams;
  }

  get isGoingAway(): boolean {
    return this.#state === 'going-away';
  }

  /** @returns the stream's id */
  open(listener: StreamListener): number {
    const id = this.#nextId;
    this.#nextId += 2;
    const block = id === 1 ? this.#headers.first : this.#headers.next;
    const at = this.#writeHeader(block.length, FrameType.HEADERS, Flag.END_HEADERS, id);
    block.copy(this.#out, at);
    this.#streams.set(id, { id, listener, window: this.#streamWindow, unacknowledged: 0, halfClosed: false });
    return id;
  }

  /** Sends as soon as the server takes it; nothing if the stream is gone by then. */
  send(streamId: number, bytes: Buffer, last: boolean): void {
    const part = { streamId, bytes, last, from: 0 };
    if (this.#unsent.length > 0 || !this.#sendPart(part)) this.#unsent.push(part);
  }

  /** Opens no more streams, and closes when the last has ended. */
  finish(): void {
    this.#state = 'going-away';
    this.#closeIfLeft();
  }

  /** @returns whether all of it was sent */
  #sendPart(part: Part): boolean {
    const stream = this.#streams.get(part.streamId);
    if (stream === undefined) return true;
    const { bytes } = part;
    do {
      const size = Math.min(bytes.length - part.from, DEFAULT_FRAME_BYTES, this.#window, stream.window);
      if (size <= 0 && part.from < bytes.length) return false;
      const isEnd = part.from + size === bytes.length && part.last;
      const at = this.#writeHeader(size, FrameType.DATA, isEnd ? Flag.END_STREAM : Flag.NONE, stream.id);
      bytes.copy(this.#out, at, part.from, part.from + size);
      part.from += size;
      this.#window -= size;
      stream.window -= size;
    } while (part.from < bytes.length);
    stream.halfClosed = part.last;
    return true;
  }

  #sendUnsent(): void {
    for (let part = this.#unsent.first; part !== undefined && this.#sendPart(part); part = this.#unsent.first) {
      this.#unsent.shift();
    }
  }

  #onFrame(type: number, flags: number, streamId: number, bytes: Buffer, from: number, to: number): void {
    switch (type) {
      case FrameType.DATA:
        return this.#onData(flags, streamId, bytes, from, to);
      case FrameType.HEADERS:
        return this.#onHeaders(flags, streamId, bytes, from, to);
      case FrameType.RST_STREAM:
        return this.#lose(streamId, false);
      case FrameType.SETTINGS:
        return this.#onSettings(flags, bytes, from, to);
      case FrameType.PING:
        return this.#onPing(flags, bytes.subarray(from, to));
      case FrameType.GOAWAY:
        return this.#onGoAway(bytes.readUInt32BE(from) & 0x7fffffff);
      case FrameType.WINDOW_UPDATE:
        return this.#onWindowUpdate(streamId, bytes.readUInt32BE(from) & 0x7fffffff);
      // CONTINUATION is the rest of headers that nobody reads; the frame before it said whether the stream ends.
      default:
        return undefined;
    }
  }

  #onData(flags: number, streamId: number, bytes: Buffer, from: number, to: number): void {
    this.#unacknowledged = this.#acknowledge(0, this.#unacknowledged + to - from);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    const isEnd = (flags & Flag.END_STREAM) !== 0;
    stream.unacknowledged += to - from;
    if (!isEnd) stream.unacknowledged = this.#acknowledge(streamId, stream.unacknowledged);
    if ((flags & Flag.PADDED) === 0) stream.listener.data(bytes, from, to);
    else stream.listener.data(bytes, from + 1, to - bytes[from]!);
    if (isEnd) this.#end(stream, NOTHING, 0, 0);
  }

  /** @returns the bytes that the server still has to be told of */
  #acknowledge(streamId: number, unacknowledged: number): number {
    if (unacknowledged < WINDOW / 2) return unacknowledged;
    this.#writeUint32(FrameType.WINDOW_UPDATE, streamId, unacknowledged);
    return 0;
  }

  #onHeaders(flags: number, streamId: number, bytes: Buffer, from: number, to: number): void {
    if ((flags & Flag.END_STREAM) === 0) return;
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#end(stream, bytes, from, to);
  }

  #end(stream: Stream, bytes: Buffer, from: number, to: number): void {
    if (!stream.halfClosed) this.#writeUint32(FrameType.RST_STREAM, stream.id, CANCEL);
    this.#streams.delete(stream.id);
    stream.listener.ended(bytes, from, to);
    this.#closeIfLeft();
  }

  #lose(streamId: number, unseen: boolean): void {
    const stream = this.#streams.get(streamId);
    this.#streams.delete(streamId);
    stream?.listener.lost(unseen);
    this.#closeIfLeft();
  }

  #onPing(flags: number, payload: Buffer): void {
    if ((flags & Flag.ACK) === 0) this.#write(FrameType.PING, Flag.ACK, 0, payload);
  }

  #onSettings(flags: number, bytes: Buffer, from: number, to: number): void {
    if ((flags & Flag.ACK) !== 0) return;
    for (let at = from; at < to; at += 6) this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    this.#write(FrameType.SETTINGS, Flag.ACK, 0, NOTHING);
    this.#sendUnsent();
    if (this.#state !== 'connecting') return;
    this.#state = 'ready';
    this.#listener.ready();
  }

  #set(setting: number, value: number): void {
    if (setting === Setting.MAX_CONCURRENT_STREAMS) this.#maxStreams = value;
    if (setting !== Setting.INITIAL_WINDOW_SIZE) return;
    for (const stream of this.#streams.values()) stream.window += value - this.#streamWindow;
    this.#streamWindow = value;
  }

  #onWindowUpdate(streamId: number, size: number): void {
    const stream = this.#streams.get(streamId);
    if (streamId === 0) this.#window += size;
    else if (stream !== undefined) stream.window += size;
    this.#sendUnsent();
  }

  /** A server that lets go in order says so twice: first that it will, then which stream was the last it looked at. */
  #onGoAway(lastId: number): void {
    const isFirst = this.#state !== 'going-away';
    this.#state = 'going-away';
    if (isFirst) this.#listener.goingAway();
    for (const id of this.#streams.keys()) if (id > lastId) this.#lose(id, true);
    this.#closeIfLeft();
  }

  #closeIfLeft(): void {
    if (this.#state === 'going-away' && this.#streams.size === 0) this.#socket.destroySoon();
  }

  #onClose(): void {
    this.#state = 'closed';
    for (const id of this.#streams.keys()) this.#lose(id, false);
    this.#listener.closed();
  }

  #writePreface(headerTable: number): void {
    const settings = Buffer.alloc(12);
    settings.writeUInt16BE(Setting.HEADER_TABLE_SIZE, 0);
    settings.writeUInt32BE(headerTable, 2);
    settings.writeUInt16BE(Setting.INITIAL_WINDOW_SIZE, 6);
    settings.writeUInt32BE(WINDOW, 8);
    this.#socket.write(PREFACE);
    this.#write(FrameType.SETTINGS, Flag.NONE, 0, settings);
    this.#writeUint32(FrameType.WINDOW_UPDATE, 0, WINDOW - DEFAULT_WINDOW);
  }

  #writeUint32(type: number, streamId: number, value: number): void {
    this.#out.writeUInt32BE(value, this.#writeHeader(4, type, Flag.NONE, streamId));
  }

  #write(type: number, flags: number, streamId: number, payload: Buffer): void {
    payload.copy(this.#out, this.#writeHeader(payload.length, type, flags, streamId));
  }

  /** Makes room for a frame, and sees to it that it is sent. @returns where its payload goes */
  #writeHeader(length: number, type: number, flags: number, streamId: number): number {
    if (this.#written + FRAME_HEADER_BYTES + length > this.#out.length) {
      this.#flush();
      this.#out = Buffer.allocUnsafeSlow(WRITE_BYTES);
      this.#written = 0;
      this.#flushed = 0;
    }
    if (this.#written === this.#flushed) queueMicrotask(() => this.#flush());
    writeFrameHeader(this.#out, this.#written, { length, type, flags, streamId });
    const at = this.#written + FRAME_HEADER_BYTES;
    this.#written = at + length;
    return at;
  }

  #flush(): void {
    if (this.#written === this.#flushed) return;
    // The socket may keep the bytes for a while: this part of the buffer is never written again.
    this.#socket.write(this.#out.subarray(this.#flushed, this.#written));
    this.#flushed = this.#written;
  }
}
