/** A profile as text: where a step's time goes, by phase, module, part of the network, operator and layer. */
import type { NodeCost, Profile } from '../bench/index.js';

/** Rows of the tables that would be long otherwise. */
const TOP = 15;

export function profileTables(profile: Profile): string {
  const { nodes } = profile;
  const byActivity = { columns: ['forward', 'heads', 'relay', 'update', 'optimizer'], columnOf: activityOf };
  const tables = [
    crosstab('phase', nodes, { rowOf: phaseOf }),
    crosstab('module', nodes, { rowOf: ({ module }) => String(module), ...byActivity }),
    crosstab('part', nodes, { rowOf: ({ part }) => part, columns: ['conv', 'bn', 'fc', 'other'], columnOf: layerKind }),
    crosstab('operator', nodes, { rowOf: ({ operator }) => operator, ...byActivity, top: TOP }),
    crosstab('layer', nodes, { rowOf: ({ layer, part }) => layer || `(${part})`, ...byActivity, top: TOP }),
  ];
  return [heading(profile), ...tables].join('\n\n');
}

function heading({ recipe, schedule, lowering, threads, batch, steps, ...profile }: Profile): string {
  const { stepSeconds, runSeconds, kernelSeconds } = profile;
  const share = (seconds: number): string => `${seconds.toFixed(3)} s (${percent(seconds / stepSeconds)} %)`;
  return (
    `${recipe}: ${schedule}, ${lowering}, threads ${threads}, batch ${batch}; medians of ${steps} steps with every operator measured\n` +
    `  step ${stepSeconds.toFixed(3)} s = kernels ${share(kernelSeconds)} + between kernels ${share(runSeconds - kernelSeconds)} + ` +
    `outside ONNX Runtime ${share(stepSeconds - runSeconds)}`
  );
}

/** The optimizer apart from the phase that it is in. */
const activityOf = ({ part, phase }: NodeCost): string => (part === 'optimizer' ? part : phase);

const phaseOf = ({ part, phase }: NodeCost): string => (part === 'optimizer' ? `${phase}, optimizer` : phase);

function layerKind({ part, layer }: NodeCost): string {
  const kind = /(?:^|\.)(conv|bn|fc)\d*$/.exec(layer)?.[1];
  return part === 'optimizer' || kind === undefined ? 'other' : kind;
}

interface Crosstab {
  readonly rowOf: (node: NodeCost) => string;
  readonly columnOf?: (node: NodeCost) => string;
  readonly columns?: readonly string[];
  /** Only so many rows, those that cost most. Default: all, in the order in which they first appear. */
  readonly top?: number;
}

interface Row {
  readonly name: string;
  readonly cells: Map<string, number>;
  total: number;
  count: number;
}

/** Milliseconds by row and column. */
function crosstab(title: string, nodes: readonly NodeCost[], { rowOf, columnOf, columns = [], top }: Crosstab): string {
  const rows = new Map<string, Row>();
  for (const node of nodes) {
    const name = rowOf(node);
    const row = rows.get(name) ?? { name, cells: new Map<string, number>(), total: 0, count: 0 };
    rows.set(name, row);
    const column = columnOf?.(node);
    if (column !== undefined) row.cells.set(column, (row.cells.get(column) ?? 0) + node.seconds);
    row.total += node.seconds;
    row.count++;
  }
  const shown = top === undefined ? [...rows.values()] : largest([...rows.values()], top);
  const whole = nodes.reduce((sum, { seconds }) => sum + seconds, 0);
  const omitted = rows.size - shown.length;
  return format([
    [omitted > 0 ? `${title} (${shown.length} of ${rows.size})` : title, ...columns, 'total ms', '%', 'nodes'],
    ...shown.map(({ name, cells, total, count }) => [
      name,
      ...columns.map((column) => milliseconds(cells.get(column))),
      milliseconds(total),
      percent(total / whole),
      String(count),
    ]),
  ]);
}

const largest = (rows: Row[], count: number): Row[] => rows.sort((a, b) => b.total - a.total).slice(0, count);

const milliseconds = (seconds: number | undefined): string =>
  seconds === undefined ? '·' : (seconds * 1000).toFixed(1);

const percent = (share: number): string => (100 * share).toFixed(1);

/** Columns aligned, the first to the left. */
function format(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => {
      const cells = row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
      return `  ${cells.join('  ')}`;
    })
    .join('\n');
}
