import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PromptType } from '../../../gen/platen/v1/resources_pb.js';
import { connect, type Connection } from '../../../src/cli/client.ts';
import { openSession } from '../../../src/storage/session.ts';
import { PlatenProcess } from '../../support/platen-process.ts';
import { asOwner, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

type Line = Readonly<Record<string, unknown>>;

const AWAY = 'postgresql://platen@127.0.0.1:1/platen';
const GREETING = { tenant: 'default', target: { case: 'type', value: PromptType.GREETING } } as const;

/** For servers that show nothing of the code that others do not: they start in half the time. */
const UNMEASURED = {
  NODE_V8_COVERAGE: '',
  NODE_COMPILE_CACHE: join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'compiled'),
};

/** `platen serve` by two workers. */
class Server extends PlatenProcess {
  readonly #connections: Connection[] = [];
  #calls = 0;

  constructor(settings: Readonly<Record<string, string>>) {
    super(['serve', '--workers', '2'], { PLATEN_LOG_LEVEL: 'debug', ...settings });
  }

  get lines(): Line[] {
    const whole = this.stderr.slice(0, this.stderr.lastIndexOf('\n'));
    return whole.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : []));
  }

  linesOf(message: string): Line[] {
    return this.lines.filter(({ msg }) => msg === message);
  }

  pidOf(worker: unknown): number {
    return this.linesOf('a worker starts').find((line) => line['worker'] === worker)!['pid'] as number;
  }

  async connection(): Promise<Connection> {
    const { grpc } = await this.logged('listening');
    const connection = connect(`http://${grpc}`);
    this.#connections.push(connection);
    return connection;
  }

  async render({ clients }: Connection): Promise<{ worker: unknown; renderId: string }> {
    const callId = `call-${this.#calls++}`;
    const { renderId } = await clients.renders.render(GREETING, { headers: { 'x-request-id': callId } });
    const told = () => this.lines.find((line) => line['call_id'] === callId);
    await until('the call is logged', () => told() !== undefined);
    return { worker: told()!['worker'], renderId };
  }

  async page(path: string): Promise<{ status: number; text: string }> {
    const { http } = await this.logged('listening');
    // Each time by a connection of its own, that any worker may get.
    const response = await fetch(`http://${http}${path}`, { headers: { connection: 'close' } });
    return { status: response.status, text: await response.text() };
  }

  async metric(name: string): Promise<number> {
    const { text } = await this.page('/metrics');
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  }

  override async end(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    await super.end();
  }
}

describe('platen serve --workers', () => {
  let database: TestDatabase;
  const processes: PlatenProcess[] = [];

  function serve(settings: Readonly<Record<string, string>> = {}): Server {
    const started = new Server({
      PLATEN_DATABASE_URL: database.serverUrl,
      PLATEN_DATABASE_OWNER_URL: database.ownerUrl,
      ...settings,
    });
    processes.push(started);
    return started;
  }

  let lasting: Server;
  let aging: Server;
  let waiting: readonly [Server, Server, Server];
  let refused: Server;
  let address: string;
  let dataDir: string;

  before(async () => {
    database = await createDatabase();
    dataDir = await mkdtemp(join(tmpdir(), 'platen-workers-'));
    const embedded = { PLATEN_DATABASE_URL: '', PLATEN_DATABASE_OWNER_URL: '', PLATEN_DATA_DIR: dataDir };
    const away = { PLATEN_DATABASE_URL: AWAY, PLATEN_DATABASE_OWNER_URL: AWAY, ...UNMEASURED };
    const taken = createServer().listen(0, '127.0.0.1').unref();
    await once(taken, 'listening');
    address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    // All at once: a start is mostly a wait.
    lasting = serve();
    aging = serve({ ...embedded, ...UNMEASURED, PLATEN_CONNECTION_AGE_MS: '50' });
    waiting = [serve(away), serve(away), serve(away)];
    refused = serve({ PLATEN_GRPC_ADDR: address, ...UNMEASURED });
  });

  after(async () => {
    await Promise.all(processes.map((each) => each.end()));
    await database.drop();
    await rm(dataDir, { recursive: true });
  });

  describe('over their life', () => {
    let server: Server;
    let connections: Connection[];

    before(async () => {
      server = lasting;
      await server.logged('all workers serve');
      connections = await Promise.all(Array.from({ length: 4 }, () => server.connection()));
    });

    describe('Workers share one address', () => {
      it('which may be any free one', async () => {
        const bound = server.linesOf('listening').map(({ grpc, http }) => `${grpc as string} ${http as string}`);
        assert.deepEqual(bound, [bound[0], bound[0]]);
        const { grpc, http, workers } = server.linesOf('all workers serve')[0]!;
        assert.deepEqual([`${grpc as string} ${http as string}`, workers], [bound[0], 2]);
      });

      it('and get connections in turn; each line of the log names its worker', async () => {
        const workers: unknown[] = [];
        for (const connection of connections) workers.push((await server.render(connection)).worker);
        assert.deepEqual(workers.toSorted(), [1, 1, 2, 2]);
      });
    });

    describe('Metrics of all workers are one page', () => {
      it('whichever worker is asked', async () => {
        const counts = new Set<number>();
        for (let asked = 0; asked < 4; asked += 1) {
          counts.add(await server.metric('prompt_render_latency_seconds_count'));
        }
        assert.deepEqual([...counts], [4]);
        assert.equal(await server.metric('platen_workers'), 2);
      });

      it('with the worst of what cannot be summed up', async () => {
        const changes = await asOwner<{ seq: string }>(database, 'select max(seq) as seq from change');
        assert.equal(await server.metric('platen_route_map_applied_seq'), Number(changes[0]!.seq));
      });
    });

    describe('A dead worker is replaced', () => {
      const kept: string[] = [];

      it('while connections to others notice nothing', async () => {
        const workers = await Promise.all(connections.map(async (each) => (await server.render(each)).worker));
        const victim = workers[0];
        const mine = connections.find((_, index) => workers[index] === victim)!;
        const other = connections.find((_, index) => workers[index] !== victim)!;
        const replaced = new AbortController();
        const calls = (async () => {
          while (!replaced.signal.aborted) await other.clients.renders.render(GREETING);
        })();
        const renders = Array.from({ length: 50 }, () => mine.clients.renders.render(GREETING));
        kept.push(...(await Promise.all(renders)).map(({ renderId }) => renderId));
        process.kill(server.pidOf(victim), 'SIGKILL');
        await until('a third worker listens', () => server.linesOf('listening').length === 3);
        replaced.abort();
        await calls;
        const [death] = server.linesOf('a worker ended; another one takes its place');
        assert.deepEqual([death!['worker'], death!['signal'], death!['level']], [victim, 'SIGKILL', 'error']);
        assert.equal(server.linesOf('listening')[2]!['grpc'], server.linesOf('listening')[0]!['grpc']);
      });

      it('whose receipts are there', async () => {
        const { clients } = await server.connection();
        const missing = async () => {
          const found = kept.map((renderId) => clients.audit.getReceipt({ renderId }).catch(() => undefined));
          return (await Promise.all(found)).filter((each) => each === undefined).length;
        };
        await until('all receipts are found', async () => (await missing()) === 0);
      });

      it('and whose counts stay in the sums', async () => {
        await until('two workers serve', async () => (await server.metric('platen_workers')) === 2);
        assert.equal(await server.metric('platen_worker_deaths_total'), 1);
        assert((await server.metric('prompt_render_latency_seconds_count')) >= 4);
      });
    });

    describe('Workers drain together', () => {
      it('answer what is in flight, however often they are told to end, then end with 0', async () => {
        const { templates } = (await server.connection()).clients;
        await templates.createTemplate({ templateId: 'held', type: PromptType.GREETING, draft: { content: 'a' } });
        const holder = await openSession(database.ownerUrl, 'platen test');
        await holder.em.execute('begin');
        await holder.em.execute(`select 1 from template where id = 'held' for update`);
        const update = templates.updateTemplate({ templateId: 'held', draft: { content: 'b' }, editVersion: 1 });
        const waiting = `select 1 from pg_stat_activity where application_name = 'platen' and wait_event_type = 'Lock'`;
        await until('the update waits', async () => (await asOwner(database, waiting)).length > 0);
        const workers = new Set(server.linesOf('serving').map(({ worker }) => worker));
        for (const { worker } of server.linesOf('a worker ended; another one takes its place')) workers.delete(worker);
        // As a terminal and a supervisor do, which signal every process.
        for (const worker of workers) {
          process.kill(server.pidOf(worker), 'SIGINT');
          process.kill(server.pidOf(worker), 'SIGTERM');
        }
        server.signal('SIGTERM');
        await until('all drain', () => server.linesOf('draining').length === 3);
        await assert.rejects(server.page('/readyz'));
        await holder.em.execute('commit');
        assert.equal((await update).template?.editVersion, 2);
        await holder.close();
        assert.equal(await server.exitCode(), 0);
      });
    });
  });

  describe('Connections age', () => {
    it('and get to the other worker; none of their calls fails', async () => {
      const server = aging;
      await server.logged('all workers serve');
      const connection = await server.connection();
      const workers = new Set<unknown>();
      const answer = async () => workers.add((await server.render(connection)).worker);
      await until('both workers have answered', async () => (await answer()).size === 2);
      server.signal('SIGTERM');
      assert.equal(await server.exitCode(), 0);
    });
  });

  describe('Workers share one address', () => {
    it('or none serves, and the error is told once', async () => {
      assert.equal(await refused.exitCode(), 1);
      assert.equal(refused.stderr.split(`cannot listen on ${address}`).length, 2);
    });
  });

  describe('Health serves once ready', () => {
    it('one worker is there for probes while the database is away', async () => {
      const [server] = waiting;
      await server.logged('waiting for the database');
      assert.deepEqual([(await server.page('/healthz')).status, (await server.page('/readyz')).status], [200, 503]);
      assert.equal(server.linesOf('a worker starts').length, 1);
      assert.match((await server.page('/metrics')).text, /^platen_route_map_unverified_seconds \+Inf$/m);
    });

    it('and a start that is given up ends with 0', async () => {
      const [server] = waiting;
      server.signal('SIGINT');
      assert.equal(await server.exitCode(), 0);
    });

    it('no worker that hangs outlives a second signal', async () => {
      const [, , server] = waiting;
      await server.logged('waiting for the database');
      const { pid } = server.linesOf('a worker starts')[0]!;
      process.kill(pid as number, 'SIGSTOP');
      server.signal('SIGTERM');
      await server.logged('draining');
      server.signal('SIGTERM');
      assert.equal(await server.exitCode(), 1);
      assert.throws(() => process.kill(pid as number, 0), { code: 'ESRCH' });
    });

    it('no worker outlives its primary', async () => {
      const [, server] = waiting;
      await server.logged('waiting for the database');
      server.signal('SIGKILL');
      // Their output is the same, and is closed by the last one.
      assert.equal(await server.exitCode(), null);
    });
  });
});
