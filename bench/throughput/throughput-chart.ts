import type { TopLevelSpec } from 'vega-lite';
import { threadUsPerRender, type Row } from './row.ts';

const BAR_STEP = 22;
const WIDTH = 520;

/** Renders a second and what one takes of the request thread, by scenario, of those that render. */
export function throughputChart(rows: readonly Row[], title: string): TopLevelSpec {
  const values = rows
    .filter(({ renders_per_s }) => renders_per_s !== null)
    .map((row) => ({
      scenario: row.name,
      renders: Math.round(row.renders_per_s!),
      cpu: Math.round(10 * (threadUsPerRender(row) ?? 0)) / 10,
    }));
  const bars = (field: string, what: string, color: string) => ({
    width: WIDTH,
    height: { step: BAR_STEP },
    encoding: {
      y: { field: 'scenario', type: 'nominal' as const, sort: null, title: null },
      x: { field, type: 'quantitative' as const, title: what },
    },
    layer: [
      { mark: { type: 'bar' as const, color } },
      {
        mark: { type: 'text' as const, align: 'left' as const, dx: 4 },
        encoding: { text: { field, type: 'quantitative' as const } },
      },
    ],
  });
  return {
    title,
    data: { values },
    vconcat: [
      bars('renders', 'renders a second', '#4c78a8'),
      { ...bars('cpu', 'µs of the request thread a render', '#f58518'), transform: [{ filter: 'datum.cpu > 0' }] },
    ],
  };
}
