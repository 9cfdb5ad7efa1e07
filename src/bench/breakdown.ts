/** Where a step's time goes: the costs of its nodes, summed by what they have in common. */
import type { NodeCost } from './costs.js';

export interface Breakdown {
  readonly by: 'phase' | 'module' | 'part' | 'operator' | 'layer';
  /** Names of the columns that rows are divided into. */
  readonly columns: readonly string[];
  /** Phases, modules and parts in the order of a step; operators and layers by cost, the largest first. */
  readonly rows: readonly BreakdownRow[];
}

export interface BreakdownRow {
  readonly name: string;
  readonly seconds: number;
  /** How many nodes it sums up. */
  readonly nodes: number;
  /** Seconds by column; columns that no node of the row is in are left out. */
  readonly columns: Readonly<Record<string, number>>;
}

/** By phase; by module, operator and layer, each divided by phase; by part of the network, divided by kind of layer. */
export function breakdowns(nodes: readonly NodeCost[]): Breakdown[] {
  const modules = [...new Set(nodes.map(({ module }) => module))].sort((a, b) => a - b).map(String);
  return [
    { by: 'phase', ...table(nodes, phaseOf, NO_COLUMNS, PHASES) },
    { by: 'module', ...table(nodes, ({ module }) => String(module), ACTIVITIES, modules) },
    { by: 'part', ...table(nodes, ({ part }) => part, LAYER_KINDS, PARTS) },
    { by: 'operator', ...table(nodes, ({ operator }) => operator, ACTIVITIES) },
    { by: 'layer', ...table(nodes, ({ layer, part }) => layer || `(${part})`, ACTIVITIES) },
  ];
}

interface Columns {
  readonly names: readonly string[];
  /** The column that a node is in, if in any. */
  readonly of: (node: NodeCost) => string | null;
}

const NO_COLUMNS: Columns = { names: [], of: () => null };

/** The optimizer apart from the phase that it is in. */
const ACTIVITIES: Columns = {
  names: ['forward', 'heads', 'relay', 'update', 'optimizer'],
  of: ({ part, phase }) => (part === 'optimizer' ? part : phase),
};

const LAYER_KINDS: Columns = {
  names: ['conv', 'bn', 'fc', 'other'],
  of: ({ part, layer }) => (part === 'optimizer' ? null : (/(?:^|\.)(conv|bn|fc)\d*$/.exec(layer)?.[1] ?? 'other')),
};

const PHASES = ['forward', 'heads', 'relay', 'update', 'heads, optimizer', 'update, optimizer'];

const phaseOf = ({ part, phase }: NodeCost): string => (part === 'optimizer' ? `${phase}, optimizer` : phase);

const PARTS: readonly NodeCost['part'][] = [
  'trunk',
  'heads.classifier',
  'heads.decoder',
  'heads.similarity',
  'heads.other',
  'optimizer',
];

/** @param order of the rows, all of them; default: by cost */
function table(
  nodes: readonly NodeCost[],
  rowOf: (node: NodeCost) => string,
  columns: Columns,
  order?: readonly string[],
): Omit<Breakdown, 'by'> {
  const rows = new Map<string, { name: string; seconds: number; nodes: number; columns: Record<string, number> }>();
  for (const node of nodes) {
    const name = rowOf(node);
    const row = rows.get(name) ?? { name, seconds: 0, nodes: 0, columns: {} };
    rows.set(name, row);
    row.seconds += node.seconds;
    row.nodes++;
    const column = columns.of(node);
    if (column !== null) row.columns[column] = (row.columns[column] ?? 0) + node.seconds;
  }
  const sorted = order
    ? order.flatMap((name) => rows.get(name) ?? [])
    : [...rows.values()].sort((a, b) => b.seconds - a.seconds);
  return { columns: columns.names, rows: sorted };
}
