import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A redis-server that can be run. */
export interface RedisBinary {
  readonly file: string;
  /** What it needs in its environment. */
  readonly environment: Readonly<Record<string, string>>;
}

const CACHE = join(import.meta.dirname, '..', '..', 'node_modules', '.cache');
/** Every system has these. */
const OF_THE_SYSTEM = new Set(['libc6', 'libelogind0']);

let found: Promise<RedisBinary> | undefined;

/**
 * redis-server: the one on the PATH, else Debian's, fetched without being root and kept in node_modules/.cache.
 * @throws Error if there is none and it cannot be fetched
 */
export function redisBinary(): Promise<RedisBinary> {
  found ??= find(process.env['PATH'] ?? '', join(CACHE, 'redis'));
  return found;
}

/** @param folder where a fetched one is kept */
export async function find(path: string, folder: string): Promise<RedisBinary> {
  for (const each of path.split(delimiter)) {
    const file = join(each, 'redis-server');
    if (await exists(file)) return { file, environment: {} };
  }
  if (!(await exists(folder))) await fetchInto(folder);
  return unpacked(folder);
}

/** Several processes may fetch at a time; the first that is done wins, and what it made is never half there. */
async function fetchInto(folder: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const temporary = await mkdtemp(join(CACHE, 'redis-fetch-'));
  try {
    const packages = await download(temporary);
    for (const name of packages) await run('dpkg-deb', ['-x', join(temporary, name), join(temporary, 'root')]);
    const { file, environment } = await unpacked(join(temporary, 'root'));
    await run(file, ['--version'], { env: { ...process.env, ...environment } });
    await rename(join(temporary, 'root'), folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error;
    });
  } catch (error) {
    throw new Error('tests need redis-server on the PATH, or a Debian from which it can be fetched', { cause: error });
  } finally {
    await rm(temporary, { recursive: true });
  }
}

/** The names of the packages, downloaded into the folder. */
async function download(folder: string): Promise<string[]> {
  const lists = join(folder, 'lists');
  await mkdir(join(lists, 'partial'), { recursive: true });
  const own = ['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${join(folder, 'cache')}`];
  await downloadWith([], folder).catch(async () => {
    await run('apt-get', ['update', ...own]);
    await downloadWith(own, folder);
  });
  return (await readdir(folder)).filter((name) => name.endsWith('.deb'));
}

async function downloadWith(options: readonly string[], folder: string): Promise<void> {
  const { stdout } = await run('apt-cache', ['depends', '--important', ...options, 'redis-tools']);
  const libraries = [...stdout.matchAll(/Depends: (lib\S+)/g)].map(([, name]) => name!);
  const names = ['redis-server', 'redis-tools', ...libraries.filter((name) => !OF_THE_SYSTEM.has(name))];
  await run('apt-get', ['download', ...options, ...names], { cwd: folder });
}

async function unpacked(folder: string): Promise<RedisBinary> {
  const libraries = await Promise.all(['lib', 'usr/lib'].map((each) => foldersIn(join(folder, each))));
  return {
    file: join(folder, 'usr', 'bin', 'redis-server'),
    environment: { LD_LIBRARY_PATH: libraries.flat().join(delimiter) },
  };
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = (await exists(folder)) ? await readdir(folder, { withFileTypes: true }) : [];
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
}

function exists(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(() => true, () => false);
}
