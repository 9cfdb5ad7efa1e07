/** From a recipe to the artifacts of ONNX Runtime's training API: models and checkpoint of each local module, with a manifest. */
import { encodeOrtCheckpoint } from '../../files/ort-checkpoint/index.js';
import { buildStep, type StepGraph } from '../../local/index.js';
import { lower, type NamedValue, ortTraining, portable } from '../../lower/index.js';
import type { OnnxModel } from '../../onnx/model.js';
import type { Recipe } from '../../recipe/types.js';
import { version } from '../../version.js';
import { evalGraph } from '../eval-graph.js';
import type { GraphSet } from '../graphs.js';
import { formatVersion } from '../manifest.js';
import { contents } from '../plan.js';
import { type ModuleTensors, toOrtCheckpoint, type TrainingTensors } from './checkpoint.js';
import { entriesOf, fileIn } from './entries.js';
import { type ModulePlan, planModules, type PlanOptions } from './module-plan.js';
import { requireSupported } from './optimizer-support.js';
import { evaluationModel, forwardModel, optimizerModel, probeModel, type RateTable, trainingModel } from './models.js';

export interface TrainingGraphOptions extends PlanOptions {
  /** Images per step; default: the recipe's. */
  readonly batch?: number | undefined;
  /** Learning rates that the optimizer models follow by themselves; absent: they take the session's. */
  readonly rates?: RateTable;
}

/** What a training session of one module is made of. */
export interface ModuleArtifacts extends ModuleTensors {
  readonly index: number;
  readonly training: OnnxModel;
  readonly evaluation: OnnxModel;
  readonly optimizer: OnnxModel;
  /** For sessions that cannot read what they hold: in the evaluation model's place. */
  readonly probe: () => OnnxModel;
  /** Its output in training mode, for an ordinary session; null where the training model's own output comes early enough. */
  readonly forward: OnnxModel | null;
}

export interface TrainingGraphs extends GraphSet {
  readonly modules: readonly ModuleArtifacts[];
  /** Bytes of each module's checkpoint, by file. */
  readonly checkpoints: (tensors: TrainingTensors) => ReadonlyMap<string, Uint8Array>;
}

/** @throws InputError where split or patches of the recipe do not fit its network, or training sessions lack its optimizer's settings */
export function buildTrainingGraphs(recipe: Recipe, options: TrainingGraphOptions = {}): TrainingGraphs {
  requireSupported(recipe.optimizer);
  const batch = options.batch ?? recipe.data.batch;
  const step = buildStep(recipe, batch);
  const plans = planModules(recipe, step, options);
  const modules = plans.map((plan) => artifactsOf(plan, recipe, options.rates));
  const evaluation = evalGraph(recipe);
  const models = new Map<string, OnnxModel>();
  for (const { index, training, evaluation: scored, optimizer, forward } of modules) {
    models.set(fileIn(index, 'training_model.onnx'), training);
    models.set(fileIn(index, 'eval_model.onnx'), scored);
    models.set(fileIn(index, 'optimizer_model.onnx'), optimizer);
    if (forward) models.set(fileIn(index, 'forward_model.onnx'), forward);
  }
  models.set(evaluation.entry.file, lower(evaluation.slice, portable));
  return {
    models,
    modules,
    checkpoints: (tensors) =>
      new Map(modules.map((module) => [fileIn(module.index, 'checkpoint'), checkpointOf(module, tensors, recipe)])),
    manifest: manifestOf(recipe, batch, step, [
      ...modules.flatMap((each, i) => entriesOf(each, plans[i]!)),
      evaluation.entry,
    ]),
  };
}

/** The bytes of a module's checkpoint file. */
export const checkpointOf = (module: ModuleTensors, tensors: TrainingTensors, recipe: Recipe): Uint8Array =>
  encodeOrtCheckpoint(toOrtCheckpoint(module, tensors, recipe.optimizer));

/** Names and shapes of values that live longer than a step. */
export const specsOf = (values: readonly NamedValue[]): ModuleTensors['kept'] =>
  values.map(({ name, value }) => ({ name, shape: value.shape as readonly number[] }));

function artifactsOf(plan: ModulePlan, recipe: Recipe, rates: RateTable | undefined): ModuleArtifacts {
  return {
    index: plan.index,
    training: trainingModel(plan),
    evaluation: evaluationModel(plan),
    optimizer: optimizerModel(recipe.optimizer, rates),
    forward: forwardModel(plan),
    probe: () => probeModel(plan),
    trainable: specsOf(plan.trainable),
    kept: specsOf(plan.kept),
  };
}

function manifestOf(
  recipe: Recipe,
  batch: number,
  step: StepGraph,
  graphs: GraphSet['manifest']['graphs'],
): GraphSet['manifest'] {
  return {
    formatVersion,
    producer: `hpff ${version}`,
    recipe,
    lowering: ortTraining.name,
    onnxRuntime: ortTraining.onnxRuntime,
    batch,
    ...contents(step),
    graphs,
  };
}
