/** A profile as text: where a step's time goes, by phase, module, part of the network, operator and layer. */
import type { Breakdown, Profile } from '../bench/index.js';
import { counted } from './words.js';

/** Rows of the tables that are sorted by cost. */
const TOP = 15;

/** @param plainSeconds of a step whose operators are not measured */
export function profileTables(profile: Profile, plainSeconds: number): string {
  return [heading(profile, plainSeconds), ...profile.breakdowns.map((breakdown) => table(breakdown, profile))].join(
    '\n\n',
  );
}

function heading(profile: Profile, plainSeconds: number): string {
  const { recipe, schedule, lowering, threads, batch, steps, stepSeconds, runSeconds, kernelSeconds } = profile;
  const text = (seconds: number): string => `${seconds.toFixed(3)} s`;
  return (
    `${recipe}: ${schedule}, ${lowering}, threads ${threads}, batch ${batch}; every operator measured, medians of ${counted(steps, 'step')}\n` +
    `  measured step ${text(stepSeconds)} = kernels ${text(kernelSeconds)} (${percent(kernelSeconds / stepSeconds)} %) + ` +
    `${text(runSeconds - kernelSeconds)} between them + ${text(stepSeconds - runSeconds)} outside ONNX Runtime\n` +
    `  measuring makes a step ${(stepSeconds / plainSeconds).toFixed(2)} times as long: without, it takes ${text(plainSeconds)}\n` +
    '  % below is of the kernels'
  );
}

/** Milliseconds by row and column. */
function table({ by, columns, rows }: Breakdown, { kernelSeconds }: Profile): string {
  const shown = by === 'operator' || by === 'layer' ? rows.slice(0, TOP) : rows;
  const title = shown.length < rows.length ? `${by} (${shown.length} of ${rows.length})` : by;
  return aligned([
    [title, ...columns, 'total ms', '%', 'nodes'],
    ...shown.map((row) => [
      row.name,
      ...columns.map((column) => milliseconds(row.columns[column])),
      milliseconds(row.seconds),
      percent(row.seconds / kernelSeconds),
      String(row.nodes),
    ]),
  ]);
}

const milliseconds = (seconds: number | undefined): string =>
  seconds === undefined ? '·' : (seconds * 1000).toFixed(1);

const percent = (share: number): string => (100 * share).toFixed(1);

/** Columns aligned, the first to the left. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => {
      const cells = row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
      return `  ${cells.join('  ')}`;
    })
    .join('\n');
}
