/** A profile as text: where a step's time goes, by phase, module, part of the network, operator and layer. */
import type { Breakdown, Profile } from '../bench/index.js';

/** Rows of the tables that are sorted by cost. */
const TOP = 15;

/** @param stepSeconds of a step whose operators are not measured */
export function profileTables(profile: Profile, stepSeconds: number): string {
  return [heading(profile, stepSeconds), ...profile.breakdowns.map((breakdown) => table(breakdown, profile))].join(
    '\n\n',
  );
}

function heading(profile: Profile, plainSeconds: number): string {
  const { recipe, schedule, lowering, threads, batch, steps, stepSeconds, runSeconds, kernelSeconds } = profile;
  const text = (seconds: number): string => `${seconds.toFixed(3)} s`;
  return (
    `${recipe}: ${schedule}, ${lowering}, threads ${threads}, batch ${batch}; every operator measured, medians of ${steps} ${steps === 1 ? 'step' : 'steps'}\n` +
    `  kernels ${text(kernelSeconds)}: ${percent(kernelSeconds / plainSeconds)} % of the step of ${text(plainSeconds)}\n` +
    `  measured step ${text(stepSeconds)} = kernels + ${text(runSeconds - kernelSeconds)} between them + ` +
    `${text(stepSeconds - runSeconds)} outside ONNX Runtime`
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
