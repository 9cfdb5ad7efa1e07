/**
 * What each block of a trunk costs in a training step, and the heads of a module that would end there: what balanced splits go by. Counted on graphs for a
 * few images, so it is the same on every machine and for every batch.
 */
import { InputError } from '../errors.js';
import { gradients } from '../grad/index.js';
import { Graph, staticShape, type Value, zerosLike } from '../graph/index.js';
import { createTrunk, partsOf, type Trunk } from '../networks/index.js';
import { LayerContext, ParameterStore } from '../nn/index.js';
import type { Recipe } from '../recipe/types.js';
import { peakBytes, valueBytes } from './alive.js';
import { nodeFlops } from './flops.js';
import { runHead } from './patches.js';
import { type Level, localRules } from './rules/index.js';

/** Images that costs are counted for. */
const BATCH = 8;

export interface BlockCost {
  readonly name: string;
  /** What its forward pass keeps for the backward pass. The first block's costs have the stem's, the last's the classifier's. */
  readonly keptBytes: number;
  readonly forwardFlops: number;
  /** Of the pass that gives all gradients. */
  readonly backwardFlops: number;
  /** Of the heads of a module that ends with this block; the error where they do not fit its maps; null at the last block. */
  readonly heads: HeadCost | InputError | null;
}

export interface HeadCost {
  /** The most that they make alive at once. */
  readonly aliveBytes: number;
  readonly flops: number;
}

const known = new Map<string, readonly BlockCost[]>();

/** Costs of all blocks, in order, under the recipe's local rule. */
export function blockCosts(recipe: Recipe): readonly BlockCost[] {
  const { network, local } = recipe;
  const key = JSON.stringify([network, local]);
  const found = known.get(key) ?? countedCosts(recipe);
  known.set(key, found);
  return found;
}

function countedCosts(recipe: Recipe): BlockCost[] {
  const trunk = createTrunk(recipe.network);
  const { parts, shapes } = partCosts(trunk);
  const first = trunk.stem ? 1 : 0;
  return trunk.blocks.map(({ name }, i) => {
    const own = [parts[first + i]!];
    if (i === 0 && trunk.stem) own.push(parts[0]!);
    const isLast = i === trunk.blocks.length - 1;
    if (isLast) own.push(parts.at(-1)!);
    const total = (pick: (cost: PartCost) => number): number => own.reduce((sum, cost) => sum + pick(cost), 0);
    return {
      name,
      keptBytes: total(({ keptBytes }) => keptBytes),
      forwardFlops: total(({ forwardFlops }) => forwardFlops),
      backwardFlops: total(({ backwardFlops }) => backwardFlops),
      heads: isLast ? null : headCost(recipe, trunk, i, shapes[first + i]!),
    };
  });
}

interface PartCost {
  keptBytes: number;
  forwardFlops: number;
  backwardFlops: number;
}

/** Costs of all parts, and the shapes of what they give. */
function partCosts(trunk: Trunk): { parts: PartCost[]; shapes: number[][] } {
  const graph = new Graph('costs');
  const store = new ParameterStore(graph);
  const context = new LayerContext(store, { training: true, statistics: null });
  const list = partsOf(trunk);
  const parts = list.map((): PartCost => ({ keptBytes: 0, forwardFlops: 0, backwardFlops: 0 }));
  const shapes: number[][] = [];
  let output: Value = graph.input('image', 'float32', [BATCH, ...trunk.image]);
  list.forEach((part, i) => {
    output = graph.within(String(i), () => part.build(context, output));
    shapes.push(staticShape(output.shape));
  });
  const parameters = [...store.specs.keys()].map((name) => graph.inputs.get(name)!);
  graph.within('', () => gradients([{ output, cotangent: zerosLike(output) }], parameters));
  const indices = new Map(list.map(({ name }, i) => [name, i]));
  const kept = new Set<Value>();
  for (const node of graph.nodes) {
    if (node.section !== '') {
      parts[Number(node.section)]!.forwardFlops += nodeFlops(node);
      continue;
    }
    // The scope of a gradient is that of what it is the gradient of; pooling before the classifier has none.
    const part = indices.get(node.scope.split('/')[0]!) ?? list.length - 1;
    parts[part]!.backwardFlops += nodeFlops(node);
    for (const value of node.inputs) if (value.producer && value.producer.section !== '') kept.add(value);
  }
  for (const value of kept) parts[Number(value.producer!.section)]!.keptBytes += valueBytes(value);
  return { parts, shapes };
}

/** What the heads cost that the recipe's rule puts behind block `index`, in the middle of the network as far as λ goes. */
function headCost(recipe: Recipe, trunk: Trunk, index: number, shape: readonly number[]): HeadCost | InputError {
  const { local, network } = recipe;
  const graph = new Graph('head costs');
  const store = new ParameterStore(graph);
  const features = graph.input('features', 'float32', shape);
  const label = graph.input('label', 'int64', [BATCH]);
  const image = graph.input('image', 'float32', [BATCH, ...network.image]);
  const place = {
    position: 0.5,
    reduction: trunk.blocks[index]!.reduction,
    later: trunk.blocks.slice(index + 1),
  };
  try {
    for (const { level, weight } of levelsOf(local.hierarchy)) {
      const heads = localRules[local.rule](recipe, { label, image: () => image }, level, place);
      for (const { head, weight: own } of heads) {
        const context = new LayerContext(store, { training: true, statistics: null }, `${level}.${head.kind}`);
        const patches = local.patches?.on.includes(head.kind) ? local.patches : null;
        runHead(head, context, features, weight * own, patches);
      }
    }
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  const flops = graph.nodes.reduce((sum, node) => sum + nodeFlops(node), 0);
  return { aliveBytes: peakBytes(graph.nodes), flops };
}

/** The levels on which a module between the first and the last is supervised. */
function levelsOf(hierarchy: Recipe['local']['hierarchy']): { level: Level; weight: number }[] {
  if (!hierarchy || hierarchy.cascade === 0) return [{ level: 'alone', weight: hierarchy?.independent ?? 1 }];
  const cascade = { level: 'cascade' as const, weight: hierarchy.cascade };
  if (hierarchy.independent === 0) return [cascade];
  return [cascade, { level: 'independent', weight: hierarchy.independent }];
}
