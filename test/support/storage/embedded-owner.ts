import { startEmbeddedPostgres } from '../../../src/storage/embedded-postgres.ts';

// Owns a data directory until it is killed, and says so, and when a SIGINT reaches it.
process.on('SIGINT', () => process.stdout.write('SIGINT\n'));
await startEmbeddedPostgres({ dataDir: process.argv[2]!, log: () => {}, fsync: false });
process.stdout.write('started\n');
