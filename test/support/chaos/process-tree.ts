import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const POLL_MS = 2;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** One letter: T is stopped, Z has ended and is not collected. */
  readonly state: string;
}

/** Stops a process and its children (SIGSTOP), the parent first, so that it makes no more; resolves once all stand. */
export async function freezeTree(root: number): Promise<void> {
  process.kill(root, 'SIGSTOP');
  await reached([root], 'T');
  const children = await childrenOf(root);
  for (const pid of children) signal(pid, 'SIGSTOP');
  await reached(children, 'T');
}

/** Lets a stopped process and its children go on. */
export async function thawTree(root: number): Promise<void> {
  for (const pid of [...(await childrenOf(root)), root]) signal(pid, 'SIGCONT');
}

/** Kills a process and its children (SIGKILL), whatever they do; resolves once all have ended. */
export async function killTree(root: number): Promise<void> {
  if (!signal(root, 'SIGSTOP')) return;
  const pids = [root, ...(await childrenOf(root))];
  for (const pid of pids) signal(pid, 'SIGKILL');
  await reached(pids, 'Z');
}

/** @returns false: it has ended already */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  return (await processes()).filter(({ parent }) => parent === pid).map((child) => child.pid);
}

/** Waits until the processes are in the state, or have ended. */
async function reached(pids: readonly number[], state: string): Promise<void> {
  for (;;) {
    const others = (await processes()).filter((each) => pids.includes(each.pid) && !`${state}Z`.includes(each.state));
    if (others.length === 0) return;
    await sleep(POLL_MS);
  }
}

/** Slim images have no ps; other systems than Linux have no /proc. */
async function processes(): Promise<Process[]> {
  return process.platform === 'linux' ? processesOfProc() : processesOfPs();
}

async function processesOfProc(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      // The name of the program, in brackets, may hold spaces and brackets itself.
      const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return state ? [{ pid: Number(pid), parent: Number(parent), state }] : [];
    }),
  );
  return found.flat();
}

async function processesOfPs(): Promise<Process[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
  return stdout.trim().split('\n').map((line) => {
    const [pid, parent, state] = line.trim().split(/\s+/);
    return { pid: Number(pid), parent: Number(parent), state: state![0]! };
  });
}
