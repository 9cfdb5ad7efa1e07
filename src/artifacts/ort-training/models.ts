/**
 * The ONNX models that ONNX Runtime's training session takes, by the conventions of its Python package (`onnxruntime.training.artifacts`):
 * `training_model` with a gradient accumulator for each parameter, `eval_model`, `optimizer_model`.
 */
import type { Value } from '../../graph/index.js';
import { lower, microsoft, type NamedValue, ortEvaluation, ortTraining, trainingTarget } from '../../lower/index.js';
import type { OnnxModel, OnnxNode, OnnxValueInfo } from '../../onnx/model.js';
import type { OptimizerConfig } from '../../recipe/types.js';
import { gradientName, type ModulePlan, nextName } from './module-plan.js';

/** Input that says whether buffers are overwritten (true) or added to. */
export const resetName = 'lazy_reset_grad';
export const bufferName = (parameter: string): string => `${gradientName(parameter)}.accumulation.buffer`;
export const accumulatedName = (parameter: string): string => `${gradientName(parameter)}.accumulation.out`;
/** Output that says that a kept tensor has been overwritten. */
export const keptName = (name: string): string => `${name}.updated`;

/** Name of the initializer that makes an accumulator overwrite its buffer. */
const always = 'always';

const info = (name: string, { dtype, shape }: Pick<Value, 'dtype' | 'shape'>): OnnxValueInfo => ({
  name,
  dtype,
  shape,
});
const flag = (name: string): OnnxValueInfo => ({ name, dtype: 'bool', shape: [1] });
const infos = (values: readonly NamedValue[]): OnnxValueInfo[] => values.map(({ name, value }) => info(name, value));

export function trainingModel(plan: ModulePlan): OnnxModel {
  const { trainable, kept, inputs, outputs } = plan;
  const model = lower(plan.training, ortTraining);
  const accumulators = [
    ...trainable.map(({ name }) => accumulator(bufferName(name), gradientName(name), resetName, accumulatedName(name))),
    ...kept.map(({ name }) => accumulator(name, nextName(name), always, keptName(name))),
  ];
  const yes = { name: always, dtype: 'bool' as const, shape: [1], bytes: Uint8Array.of(1) };
  return withGraph(model, {
    nodes: [...model.graph.nodes, ...accumulators],
    inputs: [
      ...infos([...inputs, ...trainable, ...kept]),
      ...trainable.map(({ name, value }) => info(bufferName(name), value)),
      flag(resetName),
    ],
    outputs: [
      ...infos(outputs),
      ...kept.map(({ name }) => flag(keptName(name))),
      ...trainable.map(({ name }) => flag(accumulatedName(name))),
    ],
    initializers: kept.length > 0 ? [...model.graph.initializers, yes] : model.graph.initializers,
  });
}

/** It takes all that the training model keeps, whether it reads it or not: the session feeds both alike. */
export function evaluationModel({ evaluation, inputs, trainable, kept }: ModulePlan): OnnxModel {
  const model = lower(evaluation, ortEvaluation);
  const read = new Set(evaluation.inputs.map(({ name }) => name));
  const given = inputs.filter(({ name }) => read.has(name));
  return withGraph(model, { inputs: infos([...given, ...trainable, ...kept]) });
}

/** The output alone, in training mode; null as `ModulePlan.forward`. Run by an ordinary session. */
export function forwardModel({ forward }: ModulePlan): OnnxModel | null {
  return forward && lower(forward, ortTraining);
}

/** Output of a probe model: all that the session holds, one after another, as one vector. */
const heldName = 'held';

/**
 * What a session that reads no parameters can be given for its evaluation model: first `held`, all that the session holds as one vector in the order of
 * the training model's inputs, then the module's output in training mode, where `forwardModel` is not null.
 */
export function probeModel({ forward, trainable, kept, index }: ModulePlan): OnnxModel {
  const held = [...trainable, ...kept];
  const own = new Set(held.map(({ name }) => name));
  const model = forward && lower(forward, ortTraining);
  const given = forward?.inputs.filter(({ name }) => !own.has(name)) ?? [];
  const flat = (name: string): string => `flat/${name}`;
  const all = int64('all', -1);
  const joined = held.map(({ name }) => flat(name));
  return {
    irVersion: trainingTarget.irVersion,
    opsets: trainingTarget.opsets,
    producerName: 'hpff',
    graph: {
      name: `${index}/probe`,
      nodes: [
        ...(model?.graph.nodes ?? []),
        ...held.map(({ name }) => standard('Reshape', [name, all.name], flat(name))),
        standard('Concat', joined, heldName, { axis: { type: 'int', value: 0 } }),
      ],
      inputs: infos([...given, ...held]),
      outputs: [{ name: heldName, dtype: 'float32', shape: [null] }, ...(model?.graph.outputs ?? [])],
      initializers: [...(model?.graph.initializers ?? []), all],
    },
  };
}

const withGraph = (model: OnnxModel, changes: Partial<OnnxModel['graph']>): OnnxModel => ({
  ...model,
  graph: { ...model.graph, ...changes },
});

/** A node of a standard operator, named by what it makes. */
const standard = (
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: OnnxNode['attributes'] = {},
): OnnxNode => ({ name: `${opType}/${output}`, domain: '', opType, inputs, outputs: [output], attributes });

/** An initializer of one element. */
const int64 = (name: string, value: number) => ({
  name,
  dtype: 'int64' as const,
  shape: [1],
  bytes: new Uint8Array(BigInt64Array.of(BigInt(value)).buffer),
});

function accumulator(buffer: string, value: string, overwrite: string, output: string): OnnxNode {
  return {
    name: `InPlaceAccumulatorV2/${buffer}`,
    domain: microsoft,
    opType: 'InPlaceAccumulatorV2',
    inputs: [buffer, value, overwrite],
    outputs: [output],
    attributes: {},
  };
}

/** Learning rates of the epochs, for sessions that cannot be told one. */
export interface RateTable {
  readonly rates: readonly number[];
  readonly stepsPerEpoch: number;
}

/**
 * The optimizer of all parameters of a module. SGD's graph has `first_order_moments` among its inputs, which its operator does not take: ONNX Runtime counts
 * its inputs and refuses the graph without them. Its output is declared as the operator's own shape inference has it, a scalar: where another is declared the
 * native build warns, and the WebAssembly build, which cannot catch exceptions, breaks off.
 *
 * @param table makes the learning rate depend on `step` (1-based) instead of the input
 */
export function optimizerModel(config: OptimizerConfig, table?: RateTable): OnnxModel {
  const moments = config.type === 'sgd' ? ['first_order_moments'] : ['first_order_moments', 'second_order_moments'];
  const scheduled = table ? scheduledRate(table) : { rate: 'learning_rate', nodes: [], initializers: [] };
  const node: OnnxNode =
    config.type === 'sgd'
      ? optimizerNode('SGDOptimizerV2', [scheduled.rate, 'params', 'gradients'], {})
      : optimizerNode('AdamWOptimizer', [scheduled.rate, 'step', 'params', 'gradients', ...moments], {
          alpha: { type: 'float', value: config.beta1 },
          beta: { type: 'float', value: config.beta2 },
          epsilon: { type: 'float', value: config.epsilon },
          weight_decay: { type: 'float', value: config.weightDecay },
          correct_bias: { type: 'int', value: 1 },
          // 0: decay before the step, as PyTorch and hpff; 1 would be Hugging Face's order.
          adam_mode: { type: 'int', value: 0 },
        });
  return {
    irVersion: trainingTarget.irVersion,
    opsets: trainingTarget.opsets,
    producerName: 'hpff',
    graph: {
      name: 'optimizer',
      nodes: [...scheduled.nodes, node],
      inputs: [
        { name: 'learning_rate', dtype: 'float32', shape: [1] },
        { name: 'step', dtype: 'int64', shape: [1] },
        ...['params', 'gradients', ...moments].map((name): OnnxValueInfo => ({
          name,
          dtype: 'float32',
          shape: null,
          container: 'sequence',
        })),
      ],
      outputs: [{ ...flag('updated_flag'), shape: config.type === 'sgd' ? [] : [1] }],
      initializers: scheduled.initializers,
    },
  };
}

const optimizerNode = (opType: string, inputs: readonly string[], attributes: OnnxNode['attributes']): OnnxNode => ({
  name: opType,
  domain: microsoft,
  opType,
  inputs,
  outputs: ['updated_flag'],
  attributes,
});

/** The rate of the epoch that `step` is in; the last one from there on. */
function scheduledRate({ rates, stepsPerEpoch }: RateTable): {
  rate: string;
  nodes: OnnxNode[];
  initializers: OnnxModel['graph']['initializers'];
} {
  return {
    rate: 'scheduled_rate',
    nodes: [
      standard('Sub', ['step', 'one'], 'steps_before'),
      standard('Div', ['steps_before', 'steps_per_epoch'], 'epochs_before'),
      standard('Min', ['epochs_before', 'last_epoch'], 'epoch'),
      standard('Gather', ['rates', 'epoch'], 'scheduled_rate'),
    ],
    initializers: [
      {
        name: 'rates',
        dtype: 'float32',
        shape: [rates.length],
        bytes: new Uint8Array(Float32Array.from(rates).buffer),
      },
      int64('one', 1),
      int64('steps_per_epoch', stepsPerEpoch),
      int64('last_epoch', rates.length - 1),
    ],
  };
}
