import type { Row } from './row.ts';
import type { Stage } from './stage.ts';

/** How the bench was told to run. */
export interface RunOptions {
  /** Of each phase. */
  readonly seconds: number;
  /** Of calls that take microseconds. */
  readonly connections: number;
}

/** Something that is measured. */
export interface Scenario {
  readonly name: string;
  /** What it is compared with: measured before it, whether chosen or not. */
  readonly comparedWith: readonly string[];
  /** About how long it takes, for the progress bar. */
  expectedSeconds(options: RunOptions): number;
  measure(stage: Stage, options: RunOptions): Promise<Row>;
}
