import { bareRedis } from './redis-store.ts';
import { type TestRedis, startRedis } from './redis.ts';
import { until } from './until.ts';

const SLOTS = 16_384;

/** A Cluster of masters without replicas. */
export interface TestCluster {
  /** As `redis+cluster://localhost:7000,localhost:7001`. */
  readonly url: string;
  readonly nodes: readonly TestRedis[];
  stop(): Promise<void>;
}

/** Starts a Cluster whose masters have a third of the slots each. */
export async function startCluster(): Promise<TestCluster> {
  const args = ['--port', '{port}', '--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no'];
  const nodes = await Promise.all([1, 2, 3].map(() => startRedis(args)));
  const clients = nodes.map(({ url }) => bareRedis(url));
  for (const [index, client] of clients.entries()) {
    await client.cluster('SET-CONFIG-EPOCH', index + 1);
    await client.cluster('ADDSLOTS', ...slotsOf(index, nodes.length));
    await client.cluster('MEET', '127.0.0.1', nodes[0]!.port);
  }
  await until('all nodes of the Cluster know all slots', async () => {
    const infos = await Promise.all(clients.map((client) => client.cluster('INFO')));
    return infos.every((info) => String(info).includes(`cluster_slots_ok:${SLOTS}`));
  });
  for (const client of clients) client.disconnect();
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `localhost:${port}`).join(',')}`,
    nodes,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

/** The slots of one of several masters that have equally many. */
export function slotsOf(index: number, masters: number): number[] {
  const first = Math.ceil((index * SLOTS) / masters);
  const end = Math.ceil(((index + 1) * SLOTS) / masters);
  return Array.from({ length: end - first }, (_, at) => first + at);
}

/** A master with a replica, and a Sentinel that watches them; each asks for a password. */
export interface TestSentinel {
  /** Without passwords: as `127.0.0.1:26379`. */
  readonly host: string;
  readonly servers: readonly TestRedis[];
  readonly sentinel: TestRedis;
  stop(): Promise<void>;
}

/** Starts them; the master is called `main`. */
export async function startSentinel(password: string, sentinelPassword: string): Promise<TestSentinel> {
  const passwords = ['--requirepass', password, '--masterauth', password];
  const args = ['--port', '{port}', ...passwords, '--repl-diskless-sync-delay', '0'];
  const master = await startRedis(args);
  const replica = await startRedis([...args, '--replicaof', `127.0.0.1 ${master.port}`]);
  const asMaster = bareRedis(master.url.replace('//', `//:${password}@`));
  await until('the replica follows', async () => /slave0:.*state=online/.test(await asMaster.info('replication')));
  asMaster.disconnect();
  const sentinel = await startRedis(['{dir}/sentinel.conf', '--sentinel'], {
    'sentinel.conf': `
bind 127.0.0.1
port {port}
dir {dir}
requirepass ${sentinelPassword}
sentinel monitor main 127.0.0.1 ${master.port} 1
sentinel auth-pass main ${password}
sentinel down-after-milliseconds main 500
`,
  });
  return {
    host: `127.0.0.1:${sentinel.port}`,
    servers: [master, replica],
    sentinel,
    stop: async () => {
      await Promise.all([sentinel, replica, master].map((server) => server.stop()));
    },
  };
}
