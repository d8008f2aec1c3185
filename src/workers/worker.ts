/** Where a thread starts. */
import { taskRunner } from './task-runner.ts';
import { tasks } from './tasks.ts';

export default taskRunner(tasks);
