/** The files of a comparison: for people, for programs, for browsers. */
import path from 'node:path';
import { writeFileAtomic } from '../files/atomic.js';
import type { Comparison } from './document.js';
import { markdown } from './markdown.js';
import { comparisonPage } from './page.js';
import { accuracyPlot } from './plot.js';

const PLOT = 'comparison.svg';

/** @throws as `writeFileAtomic` */
export async function writeComparison(folder: string, comparison: Comparison): Promise<void> {
  const write = (name: string, text: string): Promise<void> => writeFileAtomic(path.join(folder, name), text);
  await write('comparison.json', `${JSON.stringify(comparison, null, 2)}\n`);
  await write(PLOT, `${accuracyPlot(comparison.recipes)}\n`);
  await write('comparison.md', markdown(comparison, PLOT));
  await write('comparison.html', await comparisonPage(comparison));
}
