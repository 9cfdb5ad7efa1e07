/** A comparison as Markdown. */
import { columns, legend } from './cells.js';
import type { Difference } from './conditions.js';
import type { Comparison } from './document.js';
import { conditionLine, failureLines, settingsLine } from './notes.js';

/** @param plot file name of the plot, where there is one */
export function markdown(comparison: Comparison, plot?: string): string {
  const { recipes, method, conditions } = comparison;
  const names = recipes.map(({ name }) => name);
  const failures = failureLines(comparison);
  const parts = [
    `# ${escaped(names.join(' · '))}`,
    settingsLine(comparison),
    resultTable(comparison),
    ...(failures.length === 0 ? [] : [failures.map((line) => `- ${escaped(line)}`).join('\n')]),
    ...(plot === undefined ? [] : [`![Test accuracy](${plot})`]),
    legend.map((line) => `- ${line}`).join('\n'),
    conditionLine(comparison),
    ...(conditions.length === 0 ? [] : [differenceTable(conditions, names)]),
    ...(method.length === 0 ? [] : ['What is compared:', differenceTable(method, names)]),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** A row for each recipe. @param safe makes text stand for itself: a terminal needs no escapes */
export function resultTable({ recipes }: Comparison, safe = escaped): string {
  return table(
    columns.map(({ title }) => title),
    recipes.map((recipe) => columns.map(({ text }) => text(recipe))),
    safe,
  );
}

const differenceTable = (differences: readonly Difference[], names: readonly string[]): string =>
  table(
    ['key', ...names],
    differences.map(({ path, values }) => [path, ...values.map((value) => value ?? '–')]),
  );

/** The first column to the left, the others to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], safe = escaped): string {
  const all = [header, ...rows].map((row) => row.map(safe));
  const widths = header.map((_, column) => Math.max(3, ...all.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const pad = (cell: string, i: number): string => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!));
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(all[0]!.map(pad)), line(rule), ...all.slice(1).map((row) => line(row.map(pad)))].join('\n');
}

/** Nothing in a recipe's name is markup. */
function escaped(text: string): string {
  return text.replaceAll(/[\\|`*_<>[\]]/g, '\\$&');
}
