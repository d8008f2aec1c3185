import type { Connection, StreamListener } from './connection.ts';
import { Fifo } from './fifo.ts';
import { PREFIX_BYTES, type Call } from './message.ts';

/**
 * `grpc-status: 14` (UNAVAILABLE), without what goes before the name: the name in HPACK's Huffman code, the value as it
 * is. So does nghttp2 write it, which Node serves with, because each is the shorter way.
 */
const UNAVAILABLE = Buffer.from('889acac8b21234da8f023134', 'hex');

/** What hears what became of calls. */
export interface CallListener {
  settled(call: Call, isAnswered: boolean): void;
  /** It was not looked at: it wants to be sent on another connection. */
  unseen(call: Call): void;
}

/** Carries calls on one connection. */
export interface Carrier {
  /** Whether a call may be sent now. */
  readonly hasRoom: boolean;
  send(call: Call): void;
  /** No more calls will be sent. */
  retire(): void;
}

/** A stream of HTTP/2 per call. An answer that is shorter than the least is an error. */
export class UnaryCarrier implements Carrier {
  readonly #connection: Connection;
  readonly #listener: CallListener;
  readonly #leastBytes: number;

  constructor(connection: Connection, listener: CallListener, leastAnswerBytes: number) {
    this.#connection = connection;
    this.#listener = listener;
    this.#leastBytes = PREFIX_BYTES + leastAnswerBytes;
  }

  get hasRoom(): boolean {
    return this.#connection.hasRoom;
  }

  send(call: Call): void {
    const id = this.#connection.open(new UnaryAnswer(call, this.#listener, this.#leastBytes));
    this.#connection.send(id, call.message, true);
  }

  retire(): void {
    // Each call ended its own side when it was sent.
  }
}

class UnaryAnswer implements StreamListener {
  readonly #call: Call;
  readonly #listener: CallListener;
  readonly #leastBytes: number;
  #bytes = 0;

  constructor(call: Call, listener: CallListener, leastBytes: number) {
    this.#call = call;
    this.#listener = listener;
    this.#leastBytes = leastBytes;
  }

  data(_bytes: Buffer, from: number, to: number): void {
    this.#bytes += to - from;
  }

  ended(): void {
    this.#listener.settled(this.#call, this.#bytes >= this.#leastBytes);
  }

  lost(unseen: boolean): void {
    if (unseen) this.#listener.unseen(this.#call);
    else this.#listener.settled(this.#call, false);
  }
}

/**
 * All calls on one stream, which is opened anew when the server ends it. Answers are taken in the order of requests:
 * where the server changes it, latencies are those of the answers that came instead.
 *
 * What was not answered when the server ends the stream counts as errors, but for a server that lets go in order, which
 * was a stream of some use (it answered before) and either told the connection to go away or ended with UNAVAILABLE:
 * that did not look at the rest, which is sent again. A reset stream and a lost connection are errors.
 */
export class StreamCarrier implements Carrier, StreamListener {
  readonly #connection: Connection;
  readonly #listener: CallListener;
  readonly #leastBytes: number;
  readonly #inFlight: number;
  readonly #unanswered = new Fifo<Call>();
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  #missingBytes = 0;
  #isUseful = false;
  #id: number | undefined;

  constructor(connection: Connection, listener: CallListener, leastAnswerBytes: number, inFlight: number) {
    this.#connection = connection;
    this.#listener = listener;
    this.#leastBytes = leastAnswerBytes;
    this.#inFlight = inFlight;
  }

  get hasRoom(): boolean {
    if (this.#connection.isGoingAway || this.#unanswered.length >= this.#inFlight) return false;
    return this.#id !== undefined || this.#connection.hasRoom;
  }

  send(call: Call): void {
    this.#id ??= this.#connection.open(this);
    this.#unanswered.push(call);
    this.#connection.send(this.#id, call.message, false);
  }

  retire(): void {
    if (this.#id !== undefined) this.#connection.send(this.#id, Buffer.alloc(0), true);
  }

  data(bytes: Buffer, from: number, to: number): void {
    for (let at = from; at < to; ) {
      if (this.#prefixBytes < PREFIX_BYTES) {
        const taken = Math.min(PREFIX_BYTES - this.#prefixBytes, to - at);
        bytes.copy(this.#prefix, this.#prefixBytes, at, at + taken);
        this.#prefixBytes += taken;
        at += taken;
        if (this.#prefixBytes < PREFIX_BYTES) return;
        this.#missingBytes = this.#prefix.readUInt32BE(1);
      }
      const taken = Math.min(this.#missingBytes, to - at);
      this.#missingBytes -= taken;
      at += taken;
      if (this.#missingBytes === 0) this.#answered(this.#prefix.readUInt32BE(1));
    }
  }

  ended(bytes: Buffer, from: number, to: number): void {
    const isInOrder = this.#connection.isGoingAway || bytes.subarray(from, to).includes(UNAVAILABLE);
    this.#giveUp(isInOrder && this.#isUseful);
  }

  lost(unseen: boolean): void {
    this.#giveUp(unseen);
  }

  #answered(messageBytes: number): void {
    this.#prefixBytes = 0;
    this.#isUseful = true;
    const call = this.#unanswered.shift();
    if (call !== undefined) this.#listener.settled(call, messageBytes >= this.#leastBytes);
  }

  #giveUp(unseen: boolean): void {
    this.#id = undefined;
    this.#isUseful = false;
    this.#prefixBytes = 0;
    // Only those that are here now: what is sent meanwhile goes on the next stream.
    for (let left = this.#unanswered.length; left > 0; left -= 1) {
      const call = this.#unanswered.shift()!;
      if (unseen) this.#listener.unseen(call);
      else this.#listener.settled(call, false);
    }
  }
}
