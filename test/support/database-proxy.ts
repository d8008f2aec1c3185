import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import type { TestDatabase } from './postgres.ts';

/** Both ends of a connection; the far one is there once bytes pass. */
interface Link {
  readonly near: Socket;
  far: Socket | undefined;
}

/** Stands between a replica and its database, and can cut it off, or fall silent. */
export class DatabaseProxy {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #target: URL;
  #open = true;
  #frozen = false;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((near) => this.#pass(near));
  }

  static async start({ serverUrl }: Pick<TestDatabase, 'serverUrl'>): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(new URL(serverUrl));
    const { promise, resolve } = Promise.withResolvers<void>();
    proxy.#server.listen(0, '127.0.0.1', resolve);
    await promise;
    return proxy;
  }

  /** The URL of the database through this proxy. */
  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  /** Ends all connections, and refuses new ones. */
  cut(): void {
    this.#open = false;
    for (const { near, far } of this.#links) {
      near.destroy();
      far?.destroy();
    }
  }

  /** Lets connections through again. */
  mend(): void {
    this.#open = true;
  }

  /** Holds all bytes, both ways: connections stay open, new ones are taken, and nobody answers. */
  freeze(): void {
    this.#frozen = true;
    for (const link of this.#links) hold(link);
  }

  /** Lets go what was held, and everything after it. */
  thaw(): void {
    this.#frozen = false;
    for (const link of this.#links) this.#connect(link);
  }

  /** Leaves the connections that there are half-open for good: they are never answered again. New ones pass. */
  strand(): void {
    for (const link of this.#links) {
      hold(link);
      link.near.resume();
    }
  }

  async stop(): Promise<void> {
    this.cut();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await promise;
  }

  #pass(near: Socket): void {
    if (!this.#open) {
      near.destroy();
      return;
    }
    const link: Link = { near, far: undefined };
    this.#links.add(link);
    near.on('error', () => {});
    near.on('close', () => {
      this.#links.delete(link);
      link.far?.destroy();
    });
    if (!this.#frozen) this.#connect(link);
  }

  #connect(link: Link): void {
    const { near } = link;
    const far = (link.far ??= this.#reach(near));
    near.pipe(far);
    far.pipe(near);
  }

  #reach(near: Socket): Socket {
    const far = connect(Number(this.#target.port || 5432), this.#target.hostname);
    far.on('error', () => {});
    far.on('close', () => near.destroy());
    return far;
  }
}

function hold({ near, far }: Link): void {
  if (far === undefined) return;
  near.unpipe(far).pause();
  far.unpipe(near).pause();
}
