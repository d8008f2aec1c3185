import type { AddressInfo, Server, Socket } from 'node:net';

/** The listening end of a server, with the connections that it accepted. */
export class Port {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /**
   * @param address `host:port`; an IPv6 host stands in brackets, port 0 means a free one
   * @returns the address with the port that was bound
   * @throws an error that names the address, if it cannot be bound
   */
  listen(address: string): Promise<string> {
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#server.once('error', (error) => reject(new Error(`cannot listen on ${address}: ${error.message}`)));
    this.#server.listen(Number(address.slice(colon + 1)), host.replace(/^\[(.*)\]$/, '$1'), () => {
      resolve(`${host}:${(this.#server.address() as AddressInfo).port}`);
    });
    return promise;
  }

  /** Accepts no more connections, and resolves once all are closed. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Closes the connections that have not sent a byte: to their protocol they look like ones about to. */
  closeUnused(): void {
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }

  /** Closes all connections, whatever they are in the middle of. */
  closeAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
