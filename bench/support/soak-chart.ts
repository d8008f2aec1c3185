import type { TopLevelSpec } from 'vega-lite';
import type { Sample } from './soak-growth.ts';

const WIDTH = 720;

/** Memory over time, and below it the receipts that wait. */
export function soakChart(samples: readonly Sample[], title: string): TopLevelSpec {
  const memory = samples.flatMap(({ second, resident, heapUsed, external }) => [
    { minute: second / 60, what: 'resident', megabytes: resident / 1e6 },
    { minute: second / 60, what: 'heap used', megabytes: heapUsed / 1e6 },
    { minute: second / 60, what: 'external', megabytes: external / 1e6 },
  ]);
  const journal = samples.map(({ second, journalDepth }) => ({ minute: second / 60, receipts: journalDepth }));
  const x = { field: 'minute', type: 'quantitative' as const, title: 'minutes' };
  const mark = { type: 'line' as const, strokeWidth: 1 };
  return {
    title,
    vconcat: [
      {
        width: WIDTH,
        height: 280,
        data: { values: memory },
        mark,
        encoding: {
          x,
          y: { field: 'megabytes', type: 'quantitative', title: 'MB' },
          color: { field: 'what', type: 'nominal', sort: null, title: null },
        },
      },
      {
        width: WIDTH,
        height: 80,
        data: { values: journal },
        mark,
        encoding: { x, y: { field: 'receipts', type: 'quantitative', title: 'receipts in the journal' } },
      },
    ],
  };
}
