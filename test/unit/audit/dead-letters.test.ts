import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeadLetterFile } from '../../../src/audit/dead-letters.ts';

describe('A bad receipt never blocks the rest', () => {
  let directory: string;
  let path: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'platen-letters-'));
    path = join(directory, 'dead-letters.log');
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function kept(): Promise<unknown[]> {
    const text = await readFile(path, 'utf8');
    return text.split('\n').flatMap((line) => (line === '' ? [] : (JSON.parse(line) as unknown)));
  }

  it('its line is kept with the time and the reason, readable by nobody else', async () => {
    const letters = new DeadLetterFile(path);
    await letters.add([{ renderId: 'render-1', reason: '22P05', line: '00000000 ["\\u0000"]' }]);
    await letters.add([{ renderId: '', reason: 'the line is damaged', line: 'x' }]);
    const [first, second] = (await kept()) as { time: string; reason: string; line: string }[];
    assert.equal(new Date(first!.time).toISOString(), first!.time);
    assert.deepEqual([first!.reason, first!.line], ['22P05', '00000000 ["\\u0000"]']);
    assert.deepEqual([second!.reason, second!.line], ['the line is damaged', 'x']);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('and is readable after a write that was interrupted in the middle of another', async () => {
    const letters = new DeadLetterFile(path);
    await symlink('/dev/full', path);
    await assert.rejects(letters.add([{ renderId: '', reason: 'x', line: 'y' }]), { code: 'ENOSPC' });
    await unlink(path);
    await writeFile(path, '{"ti');
    await letters.add([{ renderId: '', reason: 'x', line: 'y' }]);
    const [torn, whole] = (await readFile(path, 'utf8')).split('\n');
    assert.deepEqual([torn, (JSON.parse(whole!) as { line: string }).line], ['{"ti', 'y']);
  });

  it('nor does it matter that a process was killed in the middle of a write', async () => {
    await writeFile(path, '{"ti');
    await new DeadLetterFile(path).add([{ renderId: '', reason: 'x', line: 'y' }]);
    const [torn, whole] = (await readFile(path, 'utf8')).split('\n');
    assert.deepEqual([torn, (JSON.parse(whole!) as { line: string }).line], ['{"ti', 'y']);
  });
});
