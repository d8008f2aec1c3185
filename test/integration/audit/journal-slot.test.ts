import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import { adoptableSlots, claimSlot, type Slot } from '../../../src/audit/journal-slot.ts';
import { journalRoots } from '../../support/audit/journals.ts';

const MODULE = new URL('../../../src/audit/journal-slot.ts', import.meta.url).href;

const children = new Set<ChildProcess>();

/** Runs code in another process, that has `claimSlot`, `adoptableSlots`, `gc` and `root`. */
function elsewhere(root: string, code: string) {
  const program = `const { claimSlot, adoptableSlots } = await import('${MODULE}'); const root = process.argv[1];`;
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', program + code, root], {
    stdio: 'pipe',
  });
  children.add(child);
  return { child, output: text(child.stdout), errors: text(child.stderr) };
}

/** A process that owns a slot until it is killed. */
async function ownerElsewhere(root: string): Promise<() => Promise<void>> {
  const { child } = elsewhere(root, 'claimSlot(root); gc(); console.log("owns"); setInterval(() => {}, 1000);');
  await once(child.stdout, 'data');
  return async () => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  };
}

function directories(slots: readonly Slot[]): string[] {
  return slots.map(({ directory }) => directory);
}

describe("A dead worker's journal is adopted", () => {
  const newRoot = journalRoots();
  const owned: Slot[] = [];
  const own = (slots: readonly Slot[]): readonly Slot[] => {
    owned.push(...slots);
    return slots;
  };
  afterEach(() => {
    for (const slot of owned.splice(0)) slot.release();
    for (const child of children) child.kill('SIGKILL');
    children.clear();
  });

  it('each owner has a slot of its own, within one process too', () => {
    const root = newRoot();
    const slots = own([claimSlot(root), claimSlot(root)]);
    assert.deepEqual(directories(slots), [join(root, '0'), join(root, '1')]);
  });

  it('the lowest slot that nobody owns is taken, and a root that is not there is made', () => {
    const root = join(newRoot(), 'deep', 'journal');
    const first = claimSlot(root);
    own([claimSlot(root)]);
    first.release();
    assert.deepEqual(directories(own([claimSlot(root)])), [join(root, '0')]);
  });

  it('a slot that another process owns is neither taken nor adopted, and says nothing', async () => {
    const root = newRoot();
    const [slot] = own([claimSlot(root)]);
    writeFileSync(join(slot!.directory, '00000001.log'), 'x');
    const { output, errors } = elsewhere(root, 'console.log(claimSlot(root).directory, adoptableSlots(root).length)');
    assert.equal(await output, `${join(root, '1')} 0\n`);
    assert.equal(await errors, '');
  });

  it('a slot stays owned when others in the process, in whatever thread, have tried to own it', async () => {
    const root = newRoot();
    const [slot] = own([claimSlot(root)]);
    writeFileSync(join(slot!.directory, '00000001.log'), 'x');
    assert.deepEqual(adoptableSlots(root), []);
    const thread = new Worker(`import('${MODULE}').then(({ adoptableSlots }) => adoptableSlots('${root}').length)`, {
      eval: true,
    });
    await once(thread, 'exit');
    const { output } = elsewhere(root, 'console.log(adoptableSlots(root).length)');
    assert.equal(await output, '0\n');
  });

  it('what a thread owned can be taken once the thread is gone', async () => {
    const root = newRoot();
    const program = `import('${MODULE}').then(({ claimSlot }) => {
      claimSlot('${root}');
      require('node:worker_threads').parentPort.postMessage('owns');
      setInterval(() => {}, 1000);
    })`;
    const thread = new Worker(program, { eval: true });
    await once(thread, 'message');
    assert.deepEqual(directories(own([claimSlot(root)])), [join(root, '1')]);
    await thread.terminate();
    assert.deepEqual(directories(own([claimSlot(root)])), [join(root, '0')]);
  });

  it('a slot can be taken as soon as its owner was killed', async () => {
    const root = newRoot();
    const kill = await ownerElsewhere(root);
    assert.deepEqual(directories(own([claimSlot(root)])), [join(root, '1')]);
    await kill();
    assert.deepEqual(directories(own([claimSlot(root)])), [join(root, '0')]);
  });

  it('what a killed owner left is adopted', async () => {
    const root = newRoot();
    const kill = await ownerElsewhere(root);
    writeFileSync(join(root, '0', '00000001.log'), 'x');
    assert.deepEqual(adoptableSlots(root), []);
    await kill();
    assert.deepEqual(directories(own(adoptableSlots(root))), [join(root, '0')]);
    assert.deepEqual(adoptableSlots(root), []);
  });

  it('slots without segments, and what is no slot, are not adopted', () => {
    const root = newRoot();
    const [left] = own([claimSlot(root), claimSlot(root)]);
    left!.release();
    owned.shift();
    mkdirSync(join(root, 'lost+found'));
    writeFileSync(join(root, 'lost+found', '00000001.log'), 'x');
    writeFileSync(join(root, 'dead-letters.log'), 'x');
    assert.deepEqual(adoptableSlots(root), []);
  });

  it('a slot that an operator made is adopted', () => {
    const root = newRoot();
    mkdirSync(join(root, '7'));
    writeFileSync(join(root, '7', '00000001.log'), 'x');
    assert.deepEqual(directories(own(adoptableSlots(root))), [join(root, '7')]);
  });

  it('a slot that cannot be owned, and a file like one, do not keep others from being adopted', () => {
    const root = newRoot();
    for (const name of ['1', '2', '8']) mkdirSync(join(root, name));
    for (const name of ['1', '2', '8']) writeFileSync(join(root, name, '00000001.log'), 'x');
    mkdirSync(join(root, '2', 'owner.lock'));
    writeFileSync(join(root, '5'), 'x');
    assert.deepEqual(directories(own(adoptableSlots(root))), [join(root, '1'), join(root, '8')]);
    assert.throws(() => adoptableSlots(root), /unable to open database file|ENOTDIR/);
  });

  it('the file of the lock stays when a slot is given up', () => {
    const root = newRoot();
    claimSlot(root).release();
    assert.deepEqual(readdirSync(join(root, '0')), ['owner.lock']);
  });

  it('owning one needs no room on the disk, which journals may have taken', () => {
    const root = newRoot();
    const [slot] = own([claimSlot(root)]);
    assert.deepEqual(readdirSync(slot!.directory), ['owner.lock']);
    assert.equal(statSync(join(slot!.directory, 'owner.lock')).size, 0);
  });

  it('a lock that is no database is a fault, not an owner', () => {
    const root = newRoot();
    mkdirSync(join(root, '0', 'owner.lock'), { recursive: true });
    assert.throws(() => claimSlot(root), /unable to open database file/);
  });

  it('a lock that cannot be read is a fault, not an owner', () => {
    const root = newRoot();
    mkdirSync(join(root, '0'));
    writeFileSync(join(root, '0', 'owner.lock'), 'no database'.repeat(1_000));
    assert.throws(() => claimSlot(root), /file is not a database/);
  });
});
