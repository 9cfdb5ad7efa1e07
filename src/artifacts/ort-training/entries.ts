/** What the manifest says of a module's training artifacts. */
import type { DType } from '../../files/tensor.js';
import type { OnnxModel, OnnxValueInfo } from '../../onnx/model.js';
import type { GraphEntry, Meaning, Port } from '../manifest.js';
import type { ModuleArtifacts } from './graphs.js';
import type { ModulePlan } from './module-plan.js';
import { isOptimizerState } from './optimizer-plan.js';

/** Path of a module's file in the artifact folder. */
export const fileIn = (index: number, name: string): string => `modules/${String(index).padStart(2, '0')}/${name}`;

export function entriesOf(module: ModuleArtifacts, plan: ModulePlan): GraphEntry[] {
  const kept = new Set(plan.kept.map(({ name }) => name));
  const parameters = new Set(plan.trainable.map(({ name }) => name));
  const meaning = (name: string): Meaning => {
    if (parameters.has(name)) return 'parameter';
    if (kept.has(name)) return isOptimizerState(name) ? 'optimizer-state' : 'statistic';
    return meaningOf(name);
  };
  const entry = (phase: GraphEntry['phase'], file: string, { graph }: OnnxModel): GraphEntry => ({
    file: fileIn(module.index, file),
    module: module.index,
    phase,
    inputs: graph.inputs.map((value) => portOf(value, meaning)),
    outputs: graph.outputs.map((value) => portOf(value, meaning)),
  });
  return [
    entry('training', 'training_model.onnx', module.training),
    entry('evaluation', 'eval_model.onnx', module.evaluation),
    entry('optimizer', 'optimizer_model.onnx', module.optimizer),
    ...(module.forward ? [entry('forward', 'forward_model.onnx', module.forward)] : []),
  ];
}

function portOf({ name, dtype, shape, container }: OnnxValueInfo, meaning: (name: string) => Meaning): Port {
  const sizes = (shape ?? []) as Port['shape'];
  return { name, dtype: dtype as DType, shape: sizes, meaning: container === 'sequence' ? 'sequence' : meaning(name) };
}

const BY_NAME: readonly (readonly [RegExp, Meaning])[] = [
  [/^image$/, 'image'],
  [/^label$/, 'label'],
  [/^logits$/, 'logits'],
  [/^feature\//, 'feature'],
  [/^relay\//, 'relay'],
  [/^grad\//, 'gradient'],
  [/\.accumulation\.buffer$/, 'gradient-buffer'],
  [/^(?:loss$|loss\/)/, 'loss'],
  [/^(?:learning_rate|step)$/, 'scalar'],
];

/** Of what is no parameter and no statistic. The rest says that something has been written or is to be. */
const meaningOf = (name: string): Meaning =>
  name.endsWith('.updated') ? 'flag' : (BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? 'flag');
