import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../../src/cli/client.ts';
import { runDemo } from '../../../src/cli/demo.ts';
import { startScriptedServer, type ScriptedServer } from '../../support/cli/scripted-server.ts';

const ADDRESSES = { grpcAddress: '127.0.0.1:50051', httpAddress: '127.0.0.1:8080' };

describe('The demo ends with a rendered prompt', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'platen-cli-'));
    await mkdir(join(folder, 'brands'));
    await mkdir(join(folder, 'renders'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const demo = async (outcome: number): Promise<{ text: string; error: unknown; calls: ScriptedServer['calls'] }> => {
    const server = await startScriptedServer({
      renders: {
        render: () => ({
          text: 'Be kind.\n\nHi',
          renderId: '0197',
          renderedHash: 'aaaa',
          bundleHash: 'bbbb',
          tenant: 'acme',
          bundleId: 'welcome',
          version: '1.0.0',
          source: 5,
          seq: 4n,
          warnings: [{ code: 2, subject: 'x', message: 'ignored' }],
        }),
      },
      audit: { replay: () => ({ outcome }) },
    });
    const connection = connect(server.address);
    const parts: string[] = [];
    const out = { write: (part: string) => parts.push(part) };
    try {
      const error: unknown = await runDemo(connection.clients, out, folder, ADDRESSES).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      return { text: parts.join(''), error, calls: server.calls };
    } finally {
      connection.close();
      await server.close();
    }
  };

  it('prints the prompt, its hashes, the replay of its receipt, and lines to go on with', async () => {
    const path = join(folder, 'renders', '01-first.yaml');
    await writeFile(path, 'tenant: acme\nbundle: { bundle_id: welcome }\nvariables: { a: 1 }\n');
    await writeFile(join(folder, 'renders', '02-second.yaml'), 'tenant: other\n');
    const { text, error, calls } = await demo(1);
    assert.equal(error, undefined);
    assert.deepEqual(calls, [
      {
        method: 'Render',
        request: { tenant: 'acme', bundle: { bundleId: 'welcome', channel: '' }, variables: { a: 1 } },
      },
      { method: 'Replay', request: { renderId: '0197' } },
    ]);
    const rule = '─'.repeat(80);
    const request = `'{"tenant":"solea-travel","type":"PROMPT_TYPE_GREETING"}'`;
    assert.equal(
      text,
      `Loaded ${folder}: 0 created, 0 updated, 0 unchanged, 0 published, 0 released, 0 activated.

Prompt of ${path}:

${rule}
Be kind.

Hi
${rule}

source         ACTIVE
bundle         acme/welcome@1.0.0
seq            4
rendered_hash  aaaa
bundle_hash    bbbb
receipt        0197
replay         MATCH
warning: VARIABLE_UNDECLARED x: ignored

Render over gRPC, and over HTTP with JSON:

  grpcurl -plaintext -d ${request} 127.0.0.1:50051 platen.v1.RenderService/Render
  curl -s -H 'content-type: application/json' -d ${request} http://127.0.0.1:8080/platen.v1.RenderService/Render
`,
    );
  });

  it('fails if the replay does not match', async () => {
    await writeFile(join(folder, 'renders', '01-first.yaml'), 'type: GREETING\n');
    const { text, error } = await demo(2);
    assert.equal((error as Error).message, 'the replay of receipt 0197 ended in MISMATCH');
    assert.ok(text.endsWith('replay         MISMATCH\nwarning: VARIABLE_UNDECLARED x: ignored\n'), text);
  });

  it('fails if there is no request to render', async () => {
    const { error } = await demo(1);
    assert.equal((error as Error).message, `${join(folder, 'renders')} holds no request 01-*.yaml`);
  });
});
