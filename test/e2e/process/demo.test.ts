import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlatenProcess } from '../../support/platen-process.ts';

describe('The demo ends with a rendered prompt', () => {
  let dataDir: string;

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'platen-demo-'));
  });

  after(() => rm(dataDir, { recursive: true }));

  /** Runs it once. @returns the rendered hash that it printed */
  async function demo(): Promise<string> {
    const process = new PlatenProcess(['demo', '--once'], { PLATEN_DATA_DIR: dataDir });
    assert.equal(await process.exitCode(), 0, process.stderr);
    assert.match(process.stdout, /^replay +MATCH$/m);
    assert.match(process.stdout, /^ +grpcurl -plaintext .* platen\.v1\.RenderService\/Render$/m);
    return /^rendered_hash +([0-9a-f]{64})$/m.exec(process.stdout)![1]!;
  }

  it('embedded, on an empty directory, and again on what that left', async () => {
    const hash = await demo();
    assert.equal(await demo(), hash);
  });

  it('goes on serving without --once, until it is told to end', async () => {
    const process = new PlatenProcess(['demo'], { PLATEN_DATA_DIR: dataDir });
    await process.printed('Serving. Stop with Ctrl-C.');
    const [, address] = /(http:\/\/127\.0\.0\.1:\d+)\/platen/.exec(process.stdout)!;
    assert.equal((await fetch(`${address}/readyz`)).status, 200);
    process.signal('SIGINT');
    assert.equal(await process.exitCode(), 0);
  });
});
