import { extname, join } from 'node:path';

/** Where threads start: the source, or what is built of it, as this file is. */
export const WORKER_FILE = join(import.meta.dirname, `worker${extname(import.meta.filename)}`);
