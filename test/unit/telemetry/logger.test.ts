import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
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
});
