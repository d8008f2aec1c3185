import assert from 'node:assert/strict';
import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { mock } from 'node:test';
import { SEAT_VARIABLE, type PrimaryMessage, type Seat, type WorkerMessage } from '../../../src/composition/worker-messages.ts';
import { serveByWorkers } from '../../../src/composition/workers.ts';
import { loadConfig } from '../../../src/config.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { turn } from '../../support/routing/virtual-time.ts';
import { memoryLogger } from '../../support/rpc-server.ts';

const DRAIN_TIMEOUT_MS = 20_000;
const STOP_MARGIN_MS = 10_000;
const ASKED_FOR = { grpcAddress: '127.0.0.1:0', httpAddress: '127.0.0.1:0' };
const BOUND = { grpcAddress: '127.0.0.1:7001', httpAddress: '127.0.0.1:7002' };

/** A worker as its primary knows it: it does what the test says. */
class FakeWorker extends EventEmitter {
  readonly id: number;
  readonly seat: Seat;
  readonly environment: Readonly<Record<string, string>>;
  /** What the primary told it. */
  readonly told: PrimaryMessage[] = [];
  readonly signals: string[] = [];
  readonly process: object;

  constructor(id: number, environment: Readonly<Record<string, string>>) {
    super();
    this.id = id;
    this.environment = environment;
    this.seat = JSON.parse(environment[SEAT_VARIABLE]!) as Seat;
    this.process = {
      pid: 1000 + id,
      send: (message: PrimaryMessage) => this.told.push(message),
      kill: (signal: string) => this.signals.push(signal),
    };
  }

  tell(message: WorkerMessage): void {
    this.emit('message', message);
  }

  begin(): void {
    this.tell({ kind: 'listening', addresses: BOUND });
    this.tell({ kind: 'serving' });
  }

  async end(code: number | null, signal: string | null = null): Promise<void> {
    this.emit('exit', code, signal);
    await turn();
  }
}

describe('platen serve --workers', () => {
  let workers: FakeWorker[];
  let lines: ReturnType<typeof memoryLogger>['lines'];
  let stop: AbortController;
  let kill: AbortController;

  beforeEach(() => {
    workers = [];
    stop = new AbortController();
    kill = new AbortController();
    mock.method(cluster, 'setupPrimary', () => {});
    mock.method(cluster, 'fork', (environment: Readonly<Record<string, string>>) => {
      const worker = new FakeWorker(workers.length + 1, environment);
      workers.push(worker);
      return worker as unknown as Worker;
    });
    mock.timers.enable({ apis: ['setTimeout'] });
    syncBuiltinESMExports();
  });
  afterEach(() => {
    mock.timers.reset();
    mock.restoreAll();
    syncBuiltinESMExports();
  });

  /** Begins to serve by two. @returns the exit code to come */
  function serve(): Promise<number> {
    const memory = memoryLogger();
    ({ lines } = memory);
    const config = loadConfig({
      PLATEN_DATABASE_URL: 'postgresql://platen@127.0.0.1:1/platen',
      PLATEN_GRPC_ADDR: ASKED_FOR.grpcAddress,
      PLATEN_HTTP_ADDR: ASKED_FOR.httpAddress,
      PLATEN_DRAIN_TIMEOUT_MS: String(DRAIN_TIMEOUT_MS),
      PLATEN_WORKERS: '2',
    });
    return serveByWorkers(config, memory.logger, { stop: stop.signal, kill: kill.signal });
  }

  /** The same, to the moment when both serve. */
  async function served(): Promise<{ code: Promise<number>; first: FakeWorker; second: FakeWorker }> {
    const code = serve();
    await turn();
    workers[0]!.begin();
    await turn();
    workers[1]!.begin();
    return { code, first: workers[0]!, second: workers[1]! };
  }

  async function pass(ms: number): Promise<void> {
    mock.timers.tick(ms);
    await turn();
  }

  function linesOf(message: string) {
    return lines.filter(({ msg }) => msg === message);
  }

  /** Has all end that live, as they are told to. */
  async function endAll(code: Promise<number>): Promise<number> {
    stop.abort();
    for (const worker of workers) await worker.end(0);
    return code;
  }

  describe('Workers share one address', () => {
    it('the first starts alone; the others have the same addresses, and open them late', async () => {
      const code = serve();
      await turn();
      assert.equal(workers.length, 1);
      assert.deepEqual(workers[0]!.seat, { ...ASKED_FOR, listensLate: false });
      workers[0]!.tell({ kind: 'listening', addresses: BOUND });
      await turn();
      assert.equal(workers.length, 1);
      workers[0]!.tell({ kind: 'serving' });
      await turn();
      // Node has all workers listen on the port that the first one got for it.
      assert.deepEqual(workers[1]!.seat, { ...ASKED_FOR, listensLate: true });
      assert.deepEqual(linesOf('all workers serve'), []);
      workers[1]!.begin();
      const [line] = linesOf('all workers serve');
      assert.deepEqual([line!['grpc'], line!['workers']], [BOUND.grpcAddress, 2]);
      assert.equal(await endAll(code), 0);
      assert.equal(linesOf('stopped').length, 1);
    });

    for (const [what, code, signal, expected] of [
      ['its exit code', 3, null, 3],
      ['1 where it ended well', 0, null, 1],
      ['1 where a signal ended it', null, 'SIGKILL', 1],
    ] as const) {
      it(`or none serves: the first ends before it could, with ${what}`, async () => {
        const exitCode = serve();
        await turn();
        await workers[0]!.end(code, signal);
        assert.equal(await exitCode, expected);
        assert.equal(workers.length, 1);
        assert.equal(linesOf('the first worker ended before it could serve').length, 1);
      });
    }
  });

  describe('A dead worker is replaced', () => {
    it('after a pause that doubles while replacements die young', async () => {
      const { code, first } = await served();
      let victim = first;
      for (const pause of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
        const count = workers.length;
        await victim.end(null, 'SIGKILL');
        await pass(pause - 1);
        assert.equal(workers.length, count);
        await pass(1);
        assert.equal(workers.length, count + 1, String(pause));
        victim = workers.at(-1)!;
        assert.equal(victim.seat.listensLate, true);
      }
      const told = linesOf('a worker ended; another one takes its place');
      assert.deepEqual([told[0]!['worker'], told[0]!['signal'], told[0]!['pause_ms']], [1, 'SIGKILL', 100]);
      assert.equal(await endAll(code), 0);
    });

    it('and soon again once one has served for 10 s', async () => {
      let now = 0;
      mock.method(performance, 'now', () => now);
      const { code, first } = await served();
      await first.end(1);
      await pass(100);
      now += 10_000;
      await workers.at(-1)!.end(1);
      await pass(100);
      assert.equal(workers.length, 4);
      assert.equal(await endAll(code), 0);
    });

    it('at once, where none listens any more, on the ports that were bound', async () => {
      const { code, first, second } = await served();
      await first.end(1);
      await second.end(1);
      await pass(100);
      assert.deepEqual(workers[2]!.seat, { ...BOUND, listensLate: false });
      assert.equal(await endAll(code), 0);
    });

    it('also one that cannot even begin; what else fails with a worker is no end of it', async () => {
      const { code, first, second } = await served();
      second.emit('error', new Error('a connection was not handed over'));
      await first.end(1);
      await pass(100);
      const third = workers[2]!;
      Object.assign(third.process, { pid: undefined });
      third.emit('error', new Error('spawn EAGAIN'));
      await turn();
      await pass(200);
      assert.equal(workers.length, 4);
      const errors = linesOf('a worker ended; another one takes its place').map(({ err }) => err);
      assert.deepEqual([errors[0], (errors[1] as Error).message], [undefined, 'spawn EAGAIN']);
      assert.equal(await endAll(code), 0);
    });

    it('and so is one that nothing reaches: it is ended', async () => {
      const { code, first } = await served();
      first.emit('disconnect');
      await pass(4_999);
      assert.deepEqual(first.signals, []);
      await pass(1);
      assert.deepEqual(first.signals, ['SIGKILL']);
      assert.equal(await endAll(code), 0);
    });

    it('not once all are to end', async () => {
      const { code, first } = await served();
      await first.end(1);
      assert.equal(await endAll(code), 0);
      assert.equal(workers.length, 2);
    });
  });

  describe('Workers drain together', () => {
    it('each is told once, and the exit code is the worst', async () => {
      const { code, first, second } = await served();
      stop.abort();
      assert.deepEqual([first.signals, second.signals], [['SIGTERM'], ['SIGTERM']]);
      await first.end(0);
      await second.end(2);
      assert.equal(await code, 2);
      assert.deepEqual(second.signals, ['SIGTERM']);
    });

    it('one that is ended by the signal, which came before it knew what to do, has not failed', async () => {
      const { code, first, second } = await served();
      stop.abort();
      await first.end(null, 'SIGTERM');
      await second.end(null, 'SIGINT');
      assert.equal(await code, 0);
    });

    it('one that does not end in time is killed', async () => {
      const { code, first, second } = await served();
      stop.abort();
      await first.end(0);
      await pass(DRAIN_TIMEOUT_MS + STOP_MARGIN_MS - 1);
      assert.deepEqual(second.signals, ['SIGTERM']);
      await pass(1);
      assert.deepEqual([first.signals, second.signals], [['SIGTERM'], ['SIGTERM', 'SIGKILL']]);
      assert.equal(linesOf('a worker does not end, and is killed')[0]!['worker'], 2);
      await second.end(null, 'SIGKILL');
      assert.equal(await code, 1);
    });

    it('and at once where nobody wants to wait any longer', async () => {
      const { code, first, second } = await served();
      stop.abort();
      await first.end(0);
      kill.abort();
      await turn();
      assert.deepEqual([first.signals, second.signals], [['SIGTERM'], ['SIGTERM', 'SIGKILL']]);
      await second.end(null, 'SIGKILL');
      assert.equal(await code, 1);
    });
  });

  describe('Metrics of all workers are one page', () => {
    it('of those that listen, asked for by one of them', async () => {
      const { code, first, second } = await served();
      first.tell({ kind: 'page', request: 7 });
      await turn();
      for (const worker of [first, second]) {
        const metrics = new Metrics();
        metrics.receiptsLost.inc(worker.id);
        const [question] = worker.told as [PrimaryMessage];
        worker.tell({ kind: 'values', request: question.request, values: await metrics.values() });
      }
      await turn();
      const { kind, request, text } = first.told.at(-1) as PrimaryMessage & { kind: 'page' };
      assert.deepEqual([kind, request], ['page', 7]);
      assert.match(text!, /^audit_receipts_lost_total 3$/m);
      assert.match(text!, /^platen_workers 2$/m);
      assert.equal(await endAll(code), 0);
    });

    it('without one that ends meanwhile', async () => {
      const { code, first, second } = await served();
      first.tell({ kind: 'page', request: 0 });
      await turn();
      first.tell({ kind: 'values', request: 0, values: await new Metrics().values() });
      await second.end(1);
      await turn();
      const { text } = first.told.at(-1) as PrimaryMessage & { kind: 'page' };
      assert.match(text!, /^platen_worker_deaths_total 1$/m);
      assert.equal(await endAll(code), 0);
    });

    it('or there is none: an answer that comes too late goes nowhere', async () => {
      const { code, first } = await served();
      first.tell({ kind: 'page', request: 0 });
      await turn();
      await pass(3_000);
      assert.deepEqual(first.told.at(-1), { kind: 'page', request: 0, text: undefined });
      first.tell({ kind: 'values', request: 0, values: [] });
      first.tell({ kind: 'values', request: 0, values: [] });
      assert.equal(await endAll(code), 0);
    });
  });
});
