import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.js';
import { connect, type Clients, type Connection } from '../../src/cli/client.ts';
import { loadConfig } from '../../src/config.ts';
import { startServer, type RunningServer } from '../../src/server.ts';
import { createDatabase, type TestDatabase } from './postgres.ts';
import { memoryLogger, type LogLine } from './rpc-server.ts';

/** A replica as it is deployed, on free ports, with clients; everything of it is real. */
export class Platen {
  readonly #server: RunningServer;
  readonly #connection: Connection;
  readonly #discard: () => Promise<void>;
  /** What it has logged so far. */
  readonly logs: readonly LogLine[];

  private constructor(server: RunningServer, logs: readonly LogLine[], discard: () => Promise<void>) {
    this.#server = server;
    this.#connection = connect(`http://${server.grpcAddress}`);
    this.#discard = discard;
    this.logs = logs;
  }

  /**
   * @param database shared with other replicas; without one, it gets a migrated one of its own, dropped at its stop
   * @param settings environment variables of the server; unless they name a journal, it has one of its own until it stops
   */
  static async start(database?: TestDatabase, settings: Readonly<Record<string, string>> = {}): Promise<Platen> {
    const owned = database ? undefined : await createDatabase();
    const { ownerUrl, serverUrl } = (database ?? owned)!;
    const { logger, lines } = memoryLogger();
    const journal = await mkdtemp(join(tmpdir(), 'platen-journal-'));
    const config = loadConfig({
      PLATEN_GRPC_ADDR: '127.0.0.1:0',
      PLATEN_HTTP_ADDR: '127.0.0.1:0',
      PLATEN_DATABASE_URL: serverUrl,
      PLATEN_DATABASE_OWNER_URL: ownerUrl,
      PLATEN_DRAIN_TIMEOUT_MS: '2000',
      PLATEN_AUDIT_JOURNAL_DIR: journal,
      ...settings,
    });
    return new Platen(await startServer(config, logger, new AbortController().signal), lines, async () => {
      await rm(journal, { recursive: true });
      await owned?.drop();
    });
  }

  /** gRPC clients over one connection. */
  get clients(): Clients {
    return this.#connection.clients;
  }

  get grpcAddress(): string {
    return this.#server.grpcAddress;
  }

  get httpUrl(): string {
    return `http://${this.#server.httpAddress}`;
  }

  /** Calls an RPC as curl does. @param rpc as `TenantService/GetTenant` */
  async json(rpc: string, body: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${this.httpUrl}/platen.v1.${rpc}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  /** The value of a metric's first series that has these labels; undefined: there is none. */
  async metric(name: string, labels = ''): Promise<number | undefined> {
    const text = await (await fetch(`${this.httpUrl}/metrics`)).text();
    const line = text.split('\n').find((each) => each.startsWith(name) && each.includes(labels) && !each.startsWith('#'));
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1).replace('Inf', 'Infinity'));
  }

  async stop(): Promise<void> {
    this.#connection.close();
    await this.#server.stop();
    await this.#discard();
  }
}

/** What a failed call says, as plain values. */
export interface Failure {
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** BadRequest, as `field REASON`, sorted. */
  readonly violations: readonly string[];
  /** BadRequest's descriptions by field. */
  readonly descriptions: Readonly<Record<string, string>>;
  /** PreconditionFailure, as `TYPE subject`, sorted. */
  readonly obstacles: readonly string[];
  /** ResourceInfo, as `type name`. */
  readonly resource: string;
  /** RetryInfo is there. */
  readonly retry: boolean;
}

/** What a call fails with. @throws Error if it succeeds, or fails with something that is not a status */
export async function failure(call: Promise<unknown>): Promise<Failure> {
  const error = await call.then(
    () => {
      throw new Error('the call was expected to fail, and succeeded');
    },
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) throw error;
  const [info] = error.findDetails(ErrorInfoSchema);
  const fields = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  const obstacles = error.findDetails(PreconditionFailureSchema).flatMap((detail) => detail.violations);
  const [resource] = error.findDetails(ResourceInfoSchema);
  return {
    code: Code[error.code],
    reason: info?.reason ?? '',
    message: error.rawMessage,
    metadata: info?.metadata ?? {},
    violations: fields.map(({ field, reason }) => `${field} ${reason}`).toSorted(),
    descriptions: Object.fromEntries(fields.map(({ field, description }) => [field, description])),
    obstacles: obstacles.map(({ type, subject }) => `${type} ${subject}`).toSorted(),
    resource: resource ? `${resource.resourceType} ${resource.resourceName}` : '',
    retry: error.findDetails(RetryInfoSchema).length > 0,
  };
}
