import { writeFile } from 'node:fs/promises';
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** Draws a chart as SVG. @param spec of Vega-Lite, its data included */
export async function writeChart(file: string, spec: TopLevelSpec): Promise<void> {
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  await writeFile(file, `${await view.toSVG()}\n`);
  view.finalize();
}
