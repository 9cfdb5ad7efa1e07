/**
 * How much memory a training step takes beyond the weights, predicted from its graphs: what is alive at once of all that the graphs make, in the order in
 * which ONNX Runtime runs them.
 *
 * A process takes more: its runtime and its graphs, the weights, what kernels hold while they run, and the gaps between what is alive.
 */
import { bufferBytes, type GraphMemory, graphMemory, type Lowering, valueShapes } from '../lower/index.js';
import type { OnnxModel } from '../onnx/model.js';
import type { Recipe } from '../recipe/types.js';
import { isPassing, lastUses, stepGraphs } from './step-graphs.js';
import type { GraphEntry } from './manifest.js';
import { buildSharedGraphs, type ModelUse, type SharedGraphs } from './shared-graphs.js';

export interface StepMemory {
  /** The most that is alive at once, parameters, running statistics and optimizer state excepted. */
  readonly peakBytes: number;
  /** File of the graph that runs then. */
  readonly peakGraph: string;
  /** Name of the node in it; graphs that share a model name their nodes after the first of them. */
  readonly peakNode: string;
  /** The most that the heads of one module make alive at once, in a graph of their own; 0 where no graph is theirs alone. */
  readonly headBytes: number;
}

export interface StepMemoryOptions {
  readonly schedule: 'fused' | 'sync';
  readonly lowering: Lowering;
  /** Images per step; default: the recipe's. */
  readonly batch?: number;
}

/**
 * Builds the graphs of a recipe, without loading them anywhere, and predicts what a step takes.
 * @throws InputError where split or patches of the recipe do not fit its network
 */
export function predictStepMemory(recipe: Recipe, { schedule, lowering, batch }: StepMemoryOptions): StepMemory {
  const size = batch === undefined ? {} : { batch };
  const graphs = buildSharedGraphs(recipe, { lowering, schedules: [schedule], ...size });
  return stepMemory(graphs, schedule, lowering.block ?? 1);
}

/**
 * @param graphs must include those of the schedule
 * @param block channels in a block of the blocked layout; 1 where the graphs are not blocked
 */
export function stepMemory({ manifest, uses }: SharedGraphs, schedule: 'fused' | 'sync', block: number): StepMemory {
  const entries = stepGraphs(manifest, schedule);
  const measured = new Map<OnnxModel, GraphMemory>();
  const alive = new Map<string, number>();
  const deaths = lastUses(entries);
  const spares = spareBytes(entries);
  let peak = { peakBytes: 0, peakGraph: '', peakNode: '' };
  let headBytes = 0;
  for (const { name, shape, meaning } of entries.flatMap(({ inputs }) => inputs)) {
    if (meaning === 'image' || meaning === 'label') alive.set(name, bufferBytes(shape as number[]));
  }
  entries.forEach((entry, i) => {
    const use = uses.get(entry.file)!;
    const own = measured.get(use.model) ?? memoryOf(entry, use, block);
    measured.set(use.model, own);
    if (entry.phase === 'heads') headBytes = Math.max(headBytes, own.peakBytes);
    const peakBytes = [...alive.values()].reduce((sum, bytes) => sum + bytes, spares + own.peakBytes);
    if (peakBytes > peak.peakBytes) peak = { peakBytes, peakGraph: entry.file, peakNode: own.peakNode };
    for (const { name, shape, meaning } of entry.outputs) {
      if (isPassing(meaning)) alive.set(name, bufferBytes(shape as number[]));
    }
    for (const name of deaths[i]!) alive.delete(name);
  });
  return { ...peak, headBytes };
}

function memoryOf({ inputs, outputs }: GraphEntry, { model, names }: ModelUse, block: number): GraphMemory {
  const given = new Map(inputs.map(({ name, shape }) => [names.get(name)!, shape as number[]]));
  const updates = outputs.filter((output) => output.updates !== undefined).map(({ name }) => names.get(name)!);
  const [shapes, known] = [valueShapes(model.graph, block, given), valueShapes(model.graph, block)];
  return graphMemory(model.graph, shapes, known, new Set(updates));
}

/** Updates that are not made in place are written into spare tensors: as many of each shape as one graph needs. */
function spareBytes(entries: readonly GraphEntry[]): number {
  const needed = new Map<string, { count: number; bytes: number }>();
  for (const { outputs } of entries) {
    const counts = new Map<string, number>();
    for (const { shape, updates, inPlace } of outputs) {
      if (updates === undefined || inPlace) continue;
      const key = shape.join();
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      needed.set(key, {
        count: Math.max(count, needed.get(key)?.count ?? 0),
        bytes: bufferBytes(shape as number[]),
      });
    }
  }
  return [...needed.values()].reduce((sum, { count, bytes }) => sum + count * bytes, 0);
}
