/** A streaming call that the server can end. */
export interface EndableStream {
  end(): void;
  once(event: 'cancelled', listener: () => void): unknown;
}

/** The streams of a server that stay open as long as their clients like, and so would hold up a drain. */
export class OpenStreams {
  readonly #streams = new Set<EndableStream>();

  /** Counts a stream as open until grpc-js is done with it, which it tells by `cancelled` however the stream ended. */
  add(stream: EndableStream): void {
    this.#streams.add(stream);
    stream.once('cancelled', () => this.#streams.delete(stream));
  }

  /** Ends them with OK; clients that still want to know ask another replica. */
  endAll(): void {
    for (const stream of this.#streams) stream.end();
  }
}
