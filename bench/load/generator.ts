/** A process that makes calls: never the server's own, and none that has anything else to do. */
import { once } from 'node:events';
import process from 'node:process';
import { Driver, type Plan } from './driver.ts';

/** How long the server has to end what is left when all is reported. */
const LEAVE_MS = 1_000;

process.once('disconnect', () => process.exit());
const [plan] = (await once(process, 'message')) as [Plan];
const driver = new Driver(plan);
await driver.connect();
process.send!('ready');
await once(process, 'message');
process.send!(await driver.run());
process.channel!.unref();
setTimeout(() => process.exit(), LEAVE_MS).unref();
