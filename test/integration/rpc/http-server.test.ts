import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { Drain } from '../../../src/rpc/drain.ts';
import { Health } from '../../../src/rpc/health.ts';
import { HttpServer } from '../../../src/rpc/http-server.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { fakeServices, memoryLogger } from '../../support/rpc-server.ts';

describe('Requests are bounded', () => {
  const { logger, lines } = memoryLogger();

  function create() {
    const parts = { logger, metrics: new Metrics(), drain: new Drain(), connectionAgeMs: 0 };
    return new HttpServer(fakeServices(), parts, new Health([])).server;
  }

  it('a request has 30 s to arrive, its body included', () => {
    const { headersTimeout, requestTimeout } = create();
    assert.deepEqual([headersTimeout, requestTimeout], [30_000, 30_000]);
  });

  for (const [what, sent] of [
    ['headers', 'POST /platen.v1.RenderService/Render HTTP/1.1\r\nhost: a'],
    [
      'a body',
      'POST /platen.v1.RenderService/Render HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
        'content-length: 1000\r\n\r\n{"tenant":',
    ],
  ] as const) {
    it(`${what} without an end end with the connection, and leave no call`, async () => {
      const server = Object.assign(create(), {
        headersTimeout: 20,
        requestTimeout: 20,
        connectionsCheckingInterval: 5,
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.write(sent);
      assert.match(await text(socket), /^(HTTP\/1\.1 408 |$)/);
      server.close();
      await once(server, 'close');
      assert.deepEqual(lines, []);
    });
  }
});

describe('Metrics of all workers are one page', () => {
  it('or there is none', async () => {
    const metrics = new Metrics();
    metrics.pageFrom(() => Promise.reject(new Error('a worker does not answer')));
    const parts = { logger: memoryLogger().logger, metrics, drain: new Drain(), connectionAgeMs: 0 };
    const { server } = new HttpServer(fakeServices(), parts, new Health([]));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } });
    assert.deepEqual([response.status, await response.text()], [503, 'a worker does not answer\n']);
    server.close();
  });
});
