import { Progress } from '../../src/cli/progress.ts';
import { meanOf, rowOf, withRatios, type Row } from './row.ts';
import type { RunOptions, Scenario } from './scenario.ts';
import type { Stage } from './stage.ts';

const PROGRESS_MS = 1_000;

/**
 * Measures the scenarios one after the other, and the floor a second time after the renders that are compared with it.
 * One that goes wrong says so in its row; the others go on.
 * @param told where the progress bar is drawn
 */
export async function runScenarios(
  scenarios: readonly Scenario[],
  stage: Stage,
  options: RunOptions,
  told: NodeJS.WriteStream,
): Promise<Row[]> {
  const floor = scenarios.find(({ name }) => name === 'floor');
  const order = scenarios.flatMap((each) => (each.name === 'render' && floor ? [each, floor] : [each]));
  const expected = order.map((scenario) => scenario.expectedSeconds(options));
  const total = expected.reduce((sum, seconds) => sum + seconds, 0);
  const progress = new Progress(told);
  const rows = new Map<string, Row>();
  let done = 0;
  try {
    for (const [index, scenario] of order.entries()) {
      const begun = performance.now();
      const show = (): void => {
        const seconds = Math.min(expected[index]!, (performance.now() - begun) / 1_000);
        progress.show(`${scenario.name}, in s`, BigInt(Math.floor(done + seconds)), BigInt(total));
      };
      show();
      const timer = setInterval(show, PROGRESS_MS);
      const row = await measured(scenario, stage, options);
      clearInterval(timer);
      done += expected[index]!;
      const former = rows.get(scenario.name);
      rows.set(scenario.name, former === undefined ? row : meanOf(former, row));
    }
  } finally {
    progress.end();
  }
  return withRatios([...rows.values()]);
}

async function measured(scenario: Scenario, stage: Stage, options: RunOptions): Promise<Row> {
  try {
    return await scenario.measure(stage, options);
  } catch (error) {
    return rowOf(scenario.name, { failed: error instanceof Error ? error.message : String(error) });
  }
}
