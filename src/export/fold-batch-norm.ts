/**
 * Folds batch normalisation into the convolution before it. With s = γ/√(σ² + ε),
 *
 *     γ·(w∗x + b - μ)/√(σ² + ε) + β  =  (s·w)∗x + (β + (b - μ)·s),
 *
 * computed in double precision and rounded once.
 */
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../onnx/model.js';
import { floatsOf, floatTensor, Readers } from './readers.js';

/** ONNX's own default. */
const defaultEpsilon = 1e-5;

/**
 * The graph with every batch norm gone that is the only reader of a convolution, where all parameters of both are
 * initializers. The filter keeps its name; a bias that is new is called after it: `conv1.weight`, `conv1.bias`.
 */
export function foldBatchNorm(graph: OnnxGraph): OnnxGraph {
  const readers = new Readers(graph);
  const folded = new Map<OnnxNode, Folding>();
  for (const norm of graph.nodes) {
    const folding = norm.opType === 'BatchNormalization' ? fold(norm, readers) : null;
    if (folding) folded.set(norm, folding);
  }
  const merged = new Map([...folded.values()].map(({ conv, merged }) => [conv, merged]));
  const nodes = graph.nodes.filter((node) => !folded.has(node)).map((node) => merged.get(node) ?? node);
  const changed = new Map(
    [...folded.values()].flatMap(({ tensors }) => tensors.map((tensor) => [tensor.name, tensor])),
  );
  const kept = graph.initializers.filter(({ name }) => !changed.has(name));
  return { ...graph, nodes, initializers: onlyRead([...kept, ...changed.values()], nodes) };
}

/** A convolution, what it becomes, and the new values of its filter and bias. */
interface Folding {
  readonly conv: OnnxNode;
  readonly merged: OnnxNode;
  readonly tensors: readonly OnnxTensor[];
}

function fold(norm: OnnxNode, readers: Readers): Folding | null {
  const [input, ...statistics] = norm.inputs;
  const conv = readers.onlyReaderOf('Conv', input!);
  const weight = readers.tensor(conv?.inputs[1]);
  const bias = readers.tensor(conv?.inputs[2]);
  const [gamma, beta, mean, variance] = statistics.map((name) => readers.tensor(name));
  if (!conv || !weight || !gamma || !beta || !mean || !variance) return null;
  if (!readers.isReadOnce(weight.name) || (bias && !readers.isReadOnce(bias.name))) return null;
  if (conv.inputs[2] && !bias) return null;

  const scale = scales(norm, floatsOf(gamma), floatsOf(variance));
  const biasName = bias?.name ?? `${weight.name.replace(/\.weight$/, '')}.bias`;
  return {
    conv,
    merged: { ...conv, inputs: [conv.inputs[0]!, weight.name, biasName], outputs: [norm.outputs[0]!] },
    tensors: [
      floatTensor(weight.name, weight.shape, scaleFilters(floatsOf(weight), scale)),
      floatTensor(biasName, beta.shape, foldedBias(floatsOf(beta), bias && floatsOf(bias), floatsOf(mean), scale)),
    ],
  };
}

/** γ/√(σ² + ε) */
function scales(norm: OnnxNode, gamma: Float32Array, variance: Float32Array): Float64Array {
  const attribute = norm.attributes.epsilon;
  const epsilon = attribute?.type === 'float' ? attribute.value : defaultEpsilon;
  return Float64Array.from(gamma, (value, channel) => value / Math.sqrt(variance[channel]! + epsilon));
}

/** Each output channel's filter by its scale. */
function scaleFilters(weight: Float32Array, scale: Float64Array): Float32Array {
  const perChannel = weight.length / scale.length;
  return weight.map((value, i) => value * scale[Math.floor(i / perChannel)]!);
}

/** β + (b - μ)·s */
function foldedBias(
  beta: Float32Array,
  bias: Float32Array | null,
  mean: Float32Array,
  scale: Float64Array,
): Float32Array {
  return beta.map((value, channel) => value + ((bias?.[channel] ?? 0) - mean[channel]!) * scale[channel]!);
}

/** Initializers that a node still reads, in the order in which they are first read. */
function onlyRead(initializers: readonly OnnxTensor[], nodes: readonly OnnxNode[]): OnnxTensor[] {
  const byName = new Map(initializers.map((tensor) => [tensor.name, tensor]));
  const names = new Set(nodes.flatMap(({ inputs }) => inputs));
  return [...names].flatMap((name) => byName.get(name) ?? []);
}
