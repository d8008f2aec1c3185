import { migrate } from '../../../src/storage/migrate.ts';

const [ownerUrl, serverUrl] = process.argv.slice(2);
await migrate(ownerUrl!, serverUrl!);
