import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { RenderRequestSchema } from '../../../../gen/platen/v1/render_service_pb.js';
import { Drain } from '../../../../src/rpc/drain.ts';
import { requestId } from '../../../../src/rpc/interceptors/request-id.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { memoryLogger } from '../../../support/rpc-server.ts';
import { TestCall } from '../../../support/test-call.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('Every call has an id', () => {
  async function idOf(sent: string | undefined): Promise<string> {
    const call = new TestCall({ headers: sent === undefined ? {} : { 'x-request-id': sent } });
    const parts = { logger: memoryLogger().logger, metrics: new Metrics(), drain: new Drain(), connectionAgeMs: 0 };
    await requestId(call.method, parts)(call, { message: create(RenderRequestSchema) }, async () => {});
    assert.deepEqual(call.responseHeaders, [['x-request-id', call.callId]]);
    return call.callId;
  }

  it('the one that the caller sends', async () => {
    for (const sent of ['save-17', 'a b', '~', 'x'.repeat(128)]) assert.equal(await idOf(sent), sent);
  });

  it('else a UUIDv7', async () => {
    for (const sent of [undefined, '', 'x'.repeat(129), 'naïve', 'tab\t']) assert.match(await idOf(sent), UUID_V7);
  });
});
