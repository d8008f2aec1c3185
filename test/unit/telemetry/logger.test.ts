import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { createLogger } from '../../../src/telemetry/logger.ts';

const run = promisify(execFile);

describe('Logs are lines of JSON', () => {
  it('with the level by name, the time, the message and the fields', () => {
    const lines: string[] = [];
    const logger = createLogger('info', { write: (line) => void lines.push(line) });
    logger.info({ tenant: 'acme' }, 'hello');
    logger.debug('unseen');
    assert.equal(lines.length, 1);
    const { time, ...line } = JSON.parse(lines[0] as string);
    assert.equal(new Date(time).toISOString(), time);
    assert.deepEqual(line, { level: 'info', tenant: 'acme', msg: 'hello' });
  });

  it('on stderr, written before the process can end', async () => {
    const url = new URL('../../../src/telemetry/logger.ts', import.meta.url);
    const script = `import { createLogger } from '${url}'; createLogger('info').info('bye'); process.exit(0);`;
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', script]);
    assert.equal(stdout, '');
    assert.equal(JSON.parse(stderr).msg, 'bye');
  });

  it('and nothing fails, nor fills the memory, when its disk is full', async () => {
    const url = new URL('../../../src/telemetry/logger.ts', import.meta.url);
    const script = `
      import { createLogger } from '${url}';
      const logger = createLogger('info');
      const long = 'x'.repeat(100_000);
      const before = process.memoryUsage().rss;
      for (let line = 0; line < 2_000; line += 1) logger.info(long);
      process.stdout.write(String(process.memoryUsage().rss - before < 100_000_000));`;
    const full = openSync('/dev/full', 'w');
    try {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', full] });
      assert.equal(await text(child.stdout!), 'true');
    } finally {
      closeSync(full);
    }
  });
});
