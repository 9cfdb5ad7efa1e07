/** The files of a comparison: for people, for programs, for browsers. */
import path from 'node:path';
import { writeFileAtomic } from '../files/atomic.js';
import type { Comparison } from './document.js';
import { DOCUMENT, MARKDOWN, PAGE, PLOT } from './files.js';
import { markdown } from './markdown.js';
import { comparisonPage } from './page.js';
import { accuracyPlot } from './plot.js';

/** @throws as `writeFileAtomic` */
export async function writeComparison(folder: string, comparison: Comparison): Promise<void> {
  const write = (name: string, text: string): Promise<void> => writeFileAtomic(path.join(folder, name), text);
  await write(DOCUMENT, `${JSON.stringify(comparison, null, 2)}\n`);
  await write(PLOT, `${accuracyPlot(comparison.recipes)}\n`);
  await write(MARKDOWN, markdown(comparison, PLOT));
  await write(PAGE, await comparisonPage(comparison));
}
