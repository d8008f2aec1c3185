#!/usr/bin/env node
import cluster from 'node:cluster';
import { join } from 'node:path';
import type { Command } from 'commander';
import { connect } from './cli/client.ts';
import { runDemo } from './cli/demo.ts';
import { addClientCommands, newProgram, runProgram } from './cli/index.ts';
import { instant } from './cli/options.ts';
import type { PruneFlags } from './composition/pruning.ts';
import { loadConfig, type Config } from './config.ts';
import type { Company, RunningServer } from './server.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';

const EXAMPLES = join(import.meta.dirname, '..', 'examples');

/** Flags of the server's commands, and the settings that they stand for. */
const FLAGS = {
  grpcAddr: { flag: '--grpc-addr <host:port>', setting: 'PLATEN_GRPC_ADDR' },
  httpAddr: { flag: '--http-addr <host:port>', setting: 'PLATEN_HTTP_ADDR' },
  databaseUrl: { flag: '--database-url <url>', setting: 'PLATEN_DATABASE_URL' },
  dataDir: { flag: '--data-dir <path>', setting: 'PLATEN_DATA_DIR' },
  logLevel: { flag: '--log-level <level>', setting: 'PLATEN_LOG_LEVEL' },
} as const;

/** Those of `serve`. */
const SERVE_FLAGS = { ...FLAGS, workers: { flag: '--workers <n|auto>', setting: 'PLATEN_WORKERS' } } as const;

type Flags = { readonly [K in keyof typeof SERVE_FLAGS]?: string };

function serverCommand(
  program: Command,
  name: string,
  description: string,
  flags: Partial<typeof SERVE_FLAGS> = FLAGS,
): Command {
  const command = program.command(name).description(description);
  for (const { flag, setting } of Object.values(flags)) command.option(flag, `instead of ${setting}`);
  return command;
}

function configOf(flags: Flags, defaults: Readonly<Record<string, string>> = {}): Config {
  const given = Object.entries(SERVE_FLAGS).flatMap(([name, { setting }]) => {
    const value = flags[name as keyof Flags];
    return value === undefined ? [] : [[setting, value]];
  });
  return loadConfig({ ...defaults, ...process.env, ...Object.fromEntries(given) });
}

/** Resolves at SIGTERM or SIGINT; one that nobody asks for ends the process at once. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => process.once('SIGTERM', resolve).once('SIGINT', resolve));
}

/**
 * Resolves when the primary has a worker end. A terminal interrupts both, and a supervisor may signal both: what comes
 * after the first signal is no haste, and an interrupt is the primary's business.
 */
function primarysSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => process.on('SIGTERM', resolve).on('SIGINT', () => {}));
}

interface Circumstances {
  readonly logger: Logger;
  readonly signalled: Promise<NodeJS.Signals>;
  readonly company?: Company;
}

/** Serves until it is signalled, then drains. */
async function serveUntilSignalled(
  config: Config,
  onServing: (server: RunningServer) => Promise<boolean>,
  { logger, signalled, company }: Circumstances = {
    logger: createLogger(config.logLevel),
    signalled: nextSignal(),
  },
): Promise<void> {
  const stop = new AbortController();
  void signalled.then(() => stop.abort());
  // Only the commands that need the server load it; the others start sooner.
  const { startServer } = await import('./server.ts');
  const server = await startServer(config, logger, stop.signal, company).catch((error: unknown) => {
    if (stop.signal.aborted) return undefined;
    throw error;
  });
  if (server === undefined) return;
  try {
    if (await onServing(server)) logger.info({ signal: await signalled }, 'draining');
  } finally {
    await server.stop();
    logger.info('stopped');
  }
}

/** Serves as one of several, until the primary says otherwise. */
async function serveAsWorker(config: Config): Promise<void> {
  const signalled = primarysSignal();
  const logger = createLogger(config.logLevel).child({ worker: cluster.worker!.id });
  const { PrimaryChannel } = await import('./composition/primary-channel.ts');
  const primary = new PrimaryChannel();
  const serving = () => {
    primary.serving();
    return Promise.resolve(true);
  };
  try {
    await serveUntilSignalled({ ...config, ...primary.addresses }, serving, { logger, signalled, company: primary });
  } finally {
    primary.leave();
  }
}

/** Has several workers serve until SIGTERM or SIGINT, and drain; a second signal has them killed. */
async function serveAsPrimary(config: Config): Promise<void> {
  const logger = createLogger(config.logLevel);
  const stop = new AbortController();
  const kill = new AbortController();
  void nextSignal().then(async (signal) => {
    const second = nextSignal();
    logger.info({ signal }, 'draining');
    stop.abort();
    logger.warn({ signal: await second }, 'no longer draining');
    kill.abort();
  });
  const { serveByWorkers } = await import('./composition/workers.ts');
  process.exitCode = await serveByWorkers(config, logger, { stop: stop.signal, kill: kill.signal });
}

const program = newProgram();

serverCommand(program, 'serve', 'serve gRPC and HTTP until SIGTERM', SERVE_FLAGS).action((flags: Flags) => {
  const config = configOf(flags);
  if (cluster.isWorker) return serveAsWorker(config);
  return config.workers > 1 ? serveAsPrimary(config) : serveUntilSignalled(config, () => Promise.resolve(true));
});

serverCommand(program, 'migrate', 'bring the database up to date').action(async (flags: Flags) => {
  const config = configOf(flags);
  const { migrateDatabase } = await import('./server.ts');
  await migrateDatabase(config, createLogger(config.logLevel));
});

serverCommand(program, 'demo', 'serve, load the examples, and render one of them')
  .option('--once', 'stop when the prompt is printed, and use free ports')
  .action(async (flags: Flags & { once?: true }) => {
    const freePorts = { PLATEN_GRPC_ADDR: '127.0.0.1:0', PLATEN_HTTP_ADDR: '127.0.0.1:0' };
    const config = configOf(flags, { PLATEN_LOG_LEVEL: 'warn', ...(flags.once && freePorts) });
    await serveUntilSignalled(config, async ({ grpcAddress, httpAddress }) => {
      const { clients, close } = connect(`http://${grpcAddress}`);
      try {
        await runDemo(clients, process.stdout, EXAMPLES, { grpcAddress, httpAddress });
      } finally {
        close();
      }
      if (!flags.once) process.stdout.write('Serving. Stop with Ctrl-C.\n');
      return !flags.once;
    });
  });

addClientCommands(program);

const audit = program.commands.find((command) => command.name() === 'audit')!;
serverCommand(audit, 'prune', 'remove receipts of whole days that no tenant keeps any more, as the database\'s owner')
  .requiredOption('--before <time>', 'only days wholly before it, as 2026-01-31 or 2026-01-31T08:00:00Z', instant)
  .option('--dry-run', 'only say what would go', false)
  .option('--json', 'print JSON', false)
  .action(async (flags: Flags & PruneFlags) => {
    const config = configOf(flags);
    const { prune } = await import('./composition/pruning.ts');
    process.stdout.write(await prune(config, createLogger(config.logLevel), flags));
  });
await runProgram(program, process.argv.slice(2));
