import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config.ts';
import { startServer } from '../../../src/server.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { type LogLine } from '../../support/rpc-server.ts';

describe('A start that is given up ends', () => {
  const journal = mkdtempSync(join(tmpdir(), 'platen-journal-'));
  after(() => rmSync(journal, { recursive: true }));

  /** Nobody listens there: the start would wait for ever. */
  const config = loadConfig({
    PLATEN_DATABASE_URL: 'postgresql://platen@127.0.0.1:1/platen',
    PLATEN_GRPC_ADDR: '127.0.0.1:0',
    PLATEN_HTTP_ADDR: '127.0.0.1:0',
    PLATEN_AUDIT_JOURNAL_DIR: journal,
  });
  const reason = new Error('SIGTERM');

  /** A start that is given up as soon as a line is logged that says so. */
  async function start(stop: AbortController, giveUpAt: string): Promise<LogLine[]> {
    const lines: LogLine[] = [];
    const logger = createLogger('debug', {
      write: (text) => {
        const line = JSON.parse(text) as LogLine;
        lines.push(line);
        if (String(line.msg).startsWith(giveUpAt)) stop.abort(reason);
      },
    });
    await assert.rejects(startServer(config, logger, stop.signal), (error) => {
      assert.ok(error === reason || stop.signal.aborted);
      return true;
    });
    return lines;
  }

  async function assertClosed(lines: readonly LogLine[]): Promise<void> {
    const listening = lines.find(({ msg }) => msg === 'listening');
    await assert.rejects(fetch(`http://${String(listening?.['http'])}/healthz`));
  }

  it('before it began: nothing is opened', async () => {
    const stop = new AbortController();
    stop.abort(reason);
    assert.deepEqual(await start(stop, 'listening'), []);
  });

  it('before it looked for the database', async () => {
    await assertClosed(await start(new AbortController(), 'listening'));
  });

  it('while it waits for the database', async () => {
    await assertClosed(await start(new AbortController(), 'waiting for the database'));
  });
});
