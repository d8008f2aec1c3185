import assert from 'node:assert/strict';
import cluster from 'node:cluster';
import { PrimaryChannel } from '../../../src/composition/primary-channel.ts';
import { SEAT_VARIABLE, type PrimaryMessage, type WorkerMessage } from '../../../src/composition/worker-messages.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { turn } from '../../support/routing/virtual-time.ts';

const ADDRESSES = { grpcAddress: '127.0.0.1:7001', httpAddress: '127.0.0.1:7002' };

describe('Metrics of all workers are one page', () => {
  let channel: PrimaryChannel;
  let sent: WorkerMessage[];
  let metrics: Metrics;
  let disconnected: number;
  const { send } = process;
  const { worker } = cluster;

  before(() => {
    process.env[SEAT_VARIABLE] = JSON.stringify({ ...ADDRESSES, listensLate: true });
    Object.assign(process, { send: (message: WorkerMessage) => sent.push(message) });
    Object.assign(cluster, { worker: { disconnect: () => (disconnected += 1) } });
  });
  beforeEach(() => {
    sent = [];
    disconnected = 0;
    metrics = new Metrics();
    channel = new PrimaryChannel();
    channel.share(metrics);
  });
  afterEach(() => {
    process.off('message', process.listeners('message').at(-1)!);
  });
  after(() => {
    delete process.env[SEAT_VARIABLE];
    Object.assign(process, { send });
    Object.assign(cluster, { worker });
  });

  function hear(message: PrimaryMessage): void {
    process.emit('message', message, undefined);
  }

  it('a worker knows its seat, and tells how far it is', () => {
    assert.deepEqual([channel.addresses, channel.listensLate], [ADDRESSES, true]);
    channel.listening(ADDRESSES);
    channel.serving();
    assert.deepEqual(sent, [{ kind: 'listening', addresses: ADDRESSES }, { kind: 'serving' }]);
    channel.leave();
    assert.equal(disconnected, 1);
  });

  it('a worker tells its own values', async () => {
    metrics.receiptsLost.inc(3);
    hear({ kind: 'values', request: 5 });
    while (sent.length === 0) await turn();
    const { kind, request, values } = sent[0] as WorkerMessage & { kind: 'values' };
    assert.deepEqual([kind, request], ['values', 5]);
    assert.equal(values.find(({ name }) => name === 'audit_receipts_lost_total')!.values[0]!.value, 3);
  });

  it('its page is what the primary answers, whichever order the answers have', async () => {
    const [first, second] = [metrics.text(), metrics.text()];
    const requests = sent.map((message) => (message as WorkerMessage & { kind: 'page' }).request);
    hear({ kind: 'page', request: requests[1]!, text: 'second' });
    hear({ kind: 'page', request: requests[0]!, text: 'first' });
    hear({ kind: 'page', request: requests[0]!, text: 'nobody waits for this' });
    assert.deepEqual([await first, await second], ['first', 'second']);
  });

  it('there is none where not every worker answers', async () => {
    const page = metrics.text();
    hear({ kind: 'page', request: 0, text: undefined });
    await assert.rejects(page, /a worker does not answer/);
  });
});
