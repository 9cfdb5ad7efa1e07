/** The trunk in inference mode by itself, where the modules are trained elsewhere. */
import { buildSharedGraphs, type Manifest, type SharedGraphs } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import type { NamedTensors } from '../files/tensor.js';
import type { Lowering } from '../lower/index.js';
import type { Recipe } from '../recipe/types.js';
import type { Runtime } from '../runtime/runtime.js';
import { LoadedGraphs } from './loaded-graphs.js';
import { TaskRunner } from './task-runner.js';
import { trunkScores } from './trunk-scores.js';

export interface Evaluator {
  load(weights: NamedTensors): void;
  /** As `TrainEngine.evaluate`, with the weights loaded last. */
  evaluate(image: Batch['image']): Promise<Float32Array>;
  dispose(): void;
}

/** @returns the manifest of the whole recipe too, in which nothing is updated in place */
export async function openEvaluator(
  recipe: Recipe,
  runtime: Runtime,
  lowering: Lowering,
): Promise<{ manifest: Manifest; evaluator: Evaluator }> {
  const graphs = buildSharedGraphs(recipe, { lowering, schedules: ['sync'], modules: new Set() });
  return { manifest: graphs.manifest, evaluator: await loadEvaluator(runtime, graphs) };
}

async function loadEvaluator(runtime: Runtime, { manifest, uses }: SharedGraphs): Promise<Evaluator> {
  const entries = manifest.graphs.filter(({ phase }) => phase === 'eval');
  const loaded = await LoadedGraphs.load(runtime, uses, entries, ({ file }) => ({ name: file }));
  const runner = new TaskRunner(runtime, { ...manifest, states: [] });
  return {
    load: (weights) => runner.load(weights),
    evaluate: async (image) => trunkScores(runtime, loaded.graphs[0]!, (name) => runner.get(name)!, image),
    dispose: () => {
      runner.dispose();
      loaded.dispose();
    },
  };
}
