import assert from 'node:assert/strict';
import { Progress } from '../../../src/cli/progress.ts';
import type { Output } from '../../../src/cli/terminal.ts';

function screen(isTTY: boolean): Output & { readonly written: string[] } {
  const written: string[] = [];
  return { isTTY, columns: 100, written, write: (text) => written.push(text) };
}

describe('Verification shows tampering: progress of long jobs', () => {
  it('without a terminal is a line at most every 5 s', () => {
    const stderr = screen(false);
    let now = 0;
    const progress = new Progress(stderr, () => now);
    for (const [at, done] of [[0, 1n], [4_999, 2n], [5_000, 3n], [9_999, 4n], [10_000, 5n]] as const) {
      now = at;
      progress.show('verifying changes', done, 9n);
    }
    progress.end();
    assert.deepEqual(stderr.written, ['verifying changes: 3 of 9\n', 'verifying changes: 5 of 9\n']);
  });

  it('in a terminal is a bar that vanishes', () => {
    const stderr = screen(true);
    const progress = new Progress(stderr);
    progress.show('verifying changes', 1n, 4n);
    progress.show('verifying changes', 2n, 4n);
    progress.show('verifying receipts', 0n, 1_000n);
    progress.end();
    const text = stderr.written.join('');
    assert.match(text, /verifying changes \[=+-+\] 25% 1\/4, \S+ to go/);
    assert.match(text, /verifying receipts \[-+\] 0% 0\/1000/);
    assert.ok(text.endsWith('\x1b[1G\x1b[2K'), JSON.stringify(text));
  });

  it('a bar makes way for what else is printed, and never moves to another line', () => {
    const stderr = screen(true);
    const progress = new Progress(stderr);
    progress.show('replaying', 1n, 4n);
    progress.aside(() => stderr.write('MISMATCH\n'));
    progress.end();
    const text = stderr.written.join('');
    assert.ok(text.includes('\r\x1b[KMISMATCH\n'), JSON.stringify(text));
    assert.ok(!text.includes('\x1b7') && !text.includes('\x1b8'));
  });

  it('a job that tells nothing leaves no trace', () => {
    const stderr = screen(true);
    const progress = new Progress(stderr);
    progress.aside(() => {});
    progress.end();
    assert.deepEqual(stderr.written, []);
  });
});
