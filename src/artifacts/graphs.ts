/** From a recipe to ONNX models and their manifest. */
import { InPlaceProof, lower } from '../lower/index.js';
import type { OnnxModel } from '../onnx/model.js';
import type { Recipe } from '../recipe/types.js';
import type { Manifest } from './manifest.js';
import { lowerTask } from './lower-task.js';
import { type GraphOptions, planGraphs } from './plan.js';

/** A manifest and the model of each of its graphs, by file. */
export interface GraphSet {
  readonly manifest: Manifest;
  readonly models: ReadonlyMap<string, OnnxModel>;
}

/** @throws InputError where split or patches of the recipe do not fit its network */
export function buildGraphs(recipe: Recipe, options: GraphOptions): GraphSet {
  const { lowering } = options;
  const { tasks, evaluation, manifest } = planGraphs(recipe, options);
  const models = new Map<string, OnnxModel>();
  const entries = tasks.map(({ slice, describe }) => {
    const model = lowerTask(slice, lowering);
    const proof = new InPlaceProof(model);
    const entry = describe((input, output) => proof.holds(input, output));
    models.set(entry.file, model);
    return entry;
  });
  models.set(evaluation.entry.file, lower(evaluation.slice, lowering));
  return { models, manifest: manifest(entries) };
}
