import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Whom PostgreSQL runs as; it refuses to run as root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whom PostgreSQL has to run as: undefined (whoever runs this process) unless that is root, else `postgres`, or
 * `nobody` where there is no such account.
 *
 * @param passwd the content of /etc/passwd
 */
export function postgresAccount(uid: number, passwd: string): Account | undefined {
  if (uid !== 0) return undefined;
  const lines = passwd.split('\n').map((line) => line.split(':'));
  const line = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody');
  if (line === undefined) {
    throw new Error(
      'PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as; ' +
        'start platen as another user, or set PLATEN_DATABASE_URL to the URL of a PostgreSQL server',
    );
  }
  return { uid: Number(line[2]), gid: Number(line[3]) };
}

/** The account for this process. */
export function currentAccount(): Account | undefined {
  return postgresAccount(process.geteuid!(), readFileSync('/etc/passwd', 'utf8'));
}

/** Whether the account may enter every folder on the way to a path. */
export function isReachable(path: string, { uid, gid }: Account): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { mode, uid: owner, gid: group } = statSync(folder);
    const entry = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if ((mode & entry) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/**
 * Starts a program as the account. Where it cannot reach all the paths (a home folder of mode 0700), it gets the one
 * capability that it lacks, through setpriv of util-linux.
 *
 * @param paths what the program has to reach beside itself
 */
export async function spawnAs(
  account: Account | undefined,
  program: string,
  args: readonly string[],
  paths: readonly string[],
  options: { stdio: StdioOptions; detached: boolean },
): Promise<ChildProcess> {
  // A program's folder may be out of its account's reach as well, and variables like PGOPTIONS are not meant for it.
  const common = { ...options, cwd: '/', env: { PATH: process.env['PATH'], LC_ALL: 'C' } };
  const child = spawnCommand(account, program, args, paths, common);
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw new Error(
      `${child.spawnfile} cannot be started to run PostgreSQL in ${paths.join(', ')}; set PLATEN_DATA_DIR to a ` +
        'folder that every user can reach, or PLATEN_DATABASE_URL to the URL of a PostgreSQL server',
      { cause },
    );
  }
  return child;
}

function spawnCommand(
  account: Account | undefined,
  program: string,
  args: readonly string[],
  paths: readonly string[],
  options: { stdio: StdioOptions; detached: boolean; cwd: string; env: NodeJS.ProcessEnv },
): ChildProcess {
  if (account === undefined) return spawn(program, args, options);
  if ([program, ...paths].every((path) => isReachable(path, account))) {
    return spawn(program, args, { ...options, ...account });
  }
  const privileges = [
    `--reuid=${account.uid}`,
    `--regid=${account.gid}`,
    '--clear-groups',
    '--inh-caps=+dac_override',
    '--ambient-caps=+dac_override',
    // Else access(2), by which PostgreSQL checks its own programs, ignores the capability.
    '--securebits=+no_setuid_fixup',
  ];
  return spawn('setpriv', [...privileges, '--', program, ...args], options);
}
