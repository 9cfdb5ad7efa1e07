/** From a recipe and its weights to the model that is used: the trunk alone, for batches of any size. */
import { UsageError } from '../errors.js';
import type { NamedTensors } from '../files/tensor.js';
import { cut, type GraphSlice, lower, portable } from '../lower/index.js';
import { createTrunk, inferenceGraph } from '../networks/index.js';
import type { OnnxGraph, OnnxModel, OnnxValueInfo } from '../onnx/model.js';
import { toJson } from '../recipe/index.js';
import type { Recipe } from '../recipe/types.js';
import { version } from '../version.js';
import { foldBatchNorm } from './fold-batch-norm.js';
import { inference } from './inference.js';
import { mergeBias } from './merge-bias.js';
import { floatTensor } from './readers.js';

/** Keys of an exported model's metadata. */
export const metadataKeys = {
  recipe: 'hpff.recipe',
  version: 'hpff.version',
  classes: 'hpff.classes',
  /** Per channel, of pixel values in [0, 1]: the model takes (pixel / 255 - mean) / std. Lists in JSON. */
  mean: 'hpff.mean',
  std: 'hpff.std',
} as const;

/** What the batch dimension of input and output is called. */
const batchDimension = 'batch';

/**
 * The trained trunk as a model of its own: no heads, batch norm folded into the convolutions, weights inside under their
 * parameters' names. Input `image` [batch, C, H, W], normalised as the recipe says; output `logits` [batch, classes].
 *
 * @param weights all parameters and running statistics of the trunk; others are left out
 * @throws UsageError where one is missing or misshapen (`checkWeights` tells the user first)
 */
export function exportModel(recipe: Recipe, weights: NamedTensors): OnnxModel {
  const model = lower(trunkSlice(recipe), inference);
  const graph = nameValues(mergeBias(foldBatchNorm(bindParameters(model.graph, weights))));
  return {
    ...model,
    producerVersion: version,
    metadata: metadataOf(recipe),
    graph: { ...graph, name: recipe.name, inputs: graph.inputs.map(anyBatch), outputs: graph.outputs.map(anyBatch) },
  };
}

/** What an exported file says of itself. */
export function metadataOf(recipe: Recipe): Record<string, string> {
  return {
    [metadataKeys.recipe]: toJson(recipe),
    [metadataKeys.version]: version,
    [metadataKeys.classes]: String(recipe.network.classes),
    [metadataKeys.mean]: JSON.stringify(recipe.data.normalize.mean),
    [metadataKeys.std]: JSON.stringify(recipe.data.normalize.std),
  };
}

/** The trunk as it is evaluated in training: nothing folded, every parameter an input. */
export function trunkModel(recipe: Recipe): OnnxModel {
  return lower(trunkSlice(recipe), portable);
}

function trunkSlice(recipe: Recipe): GraphSlice {
  const { graph, logits } = inferenceGraph(createTrunk(recipe.network));
  return cut(
    graph.name,
    [{ name: 'logits', value: logits }],
    () => true,
    (value) => value.toString(),
  );
}

/** Makes initializers of all inputs but the image. */
function bindParameters(graph: OnnxGraph, weights: NamedTensors): OnnxGraph {
  const parameters = graph.inputs.filter(({ name }) => name !== 'image');
  const bound = parameters.map(({ name, shape }) => {
    const tensor = weights.get(name);
    if (tensor?.dtype !== 'float32' || tensor.shape.join() !== shape?.join()) {
      throw new UsageError('EXPORT_WEIGHTS', `export needs '${name}' as float32 [${shape?.join(', ')}]`);
    }
    return floatTensor(name, tensor.shape, tensor.data as Float32Array);
  });
  return {
    ...graph,
    inputs: graph.inputs.filter(({ name }) => name === 'image'),
    initializers: [...graph.initializers, ...bound],
  };
}

/** Calls every value inside after the node that makes it. */
function nameValues(graph: OnnxGraph): OnnxGraph {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const names = new Map<string, string>();
  for (const node of graph.nodes) {
    node.outputs.forEach((output, i) => outputs.has(output) || names.set(output, `${node.name}:${i}`));
  }
  const renamed = (name: string): string => names.get(name) ?? name;
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(renamed),
    outputs: node.outputs.map(renamed),
  }));
  return { ...graph, nodes };
}

function anyBatch(info: OnnxValueInfo): OnnxValueInfo {
  return { ...info, shape: info.shape && [batchDimension, ...info.shape.slice(1)] };
}
