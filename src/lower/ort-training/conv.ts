/**
 * Gradients of convolution as `com.microsoft.ConvGrad` (dY, X, W → dX, dW), one node for both where both are wanted.
 *
 * The logical graph has an operator for each; what they belong to is found by the forward convolution that reads the same input.
 */
import { type Node, staticDim } from '../../graph/index.js';
import type { Emitter } from '../emitter.js';
import type { LoweringRule } from '../lower.js';
import { portableRules } from '../portable/index.js';
import type { GraphSlice } from '../slice.js';
import { blankOutputs, microsoft } from './operators.js';

interface ConvRules {
  readonly Conv: LoweringRule<'Conv'>;
  readonly ConvInputGrad: LoweringRule<'ConvInputGrad'>;
  readonly ConvWeightGrad: LoweringRule<'ConvWeightGrad'>;
}

/** A forward convolution and the names that its input and filter have in the ONNX graph. */
interface Forward {
  readonly node: Node<'Conv'>;
  readonly x: string;
  readonly weight: string;
}

export function convRules(slice: GraphSlice): ConvRules {
  const weightGradients = slice.nodes.filter((node): node is Node<'ConvWeightGrad'> => node.op === 'ConvWeightGrad');
  const forwards: Forward[] = [];
  const made = new Map<Node<'ConvWeightGrad'>, string>();
  return {
    Conv: (emit, node, inputs) => {
      forwards.push({ node, x: inputs[0]!, weight: inputs[1]! });
      return portableRules.Conv(emit, node, inputs);
    },
    ConvInputGrad: (emit, node, inputs) => {
      const found = pairOf(node, weightGradients, forwards);
      if (!found) return portableRules.ConvInputGrad(emit, node, inputs);
      const { forward, weightGradient } = found;
      const wanted = [true, weightGradient !== undefined];
      const [dX, dW] = convGrad(emit, forward, inputs[0]!, wanted);
      if (weightGradient) made.set(weightGradient, dW!);
      return [dX!];
    },
    ConvWeightGrad: (emit, node, inputs) => {
      const known = made.get(node);
      if (known !== undefined) return [known];
      // Its filter's elements are not read: any filter of that shape on that input does.
      const forward = forwards.find((each) => each.node.inputs[0] === node.inputs[0] && fits(each.node, node));
      if (!forward) return portableRules.ConvWeightGrad(emit, node, inputs);
      return [convGrad(emit, forward, inputs[1]!, [false, true])[1]!];
    },
  };
}

/** The convolution whose input gradient this is, and the operator that wants its filter gradient for the same cotangent. */
function pairOf(
  { inputs: [cotangent, weight], attributes }: Node<'ConvInputGrad'>,
  weightGradients: readonly Node<'ConvWeightGrad'>[],
  forwards: readonly Forward[],
): { forward: Forward; weightGradient?: Node<'ConvWeightGrad'> } | undefined {
  const candidates = forwards.filter(
    ({ node: { inputs, attributes: forward } }) =>
      inputs[1] === weight &&
      String(forward.pads) === String(attributes.pads) &&
      String(forward.strides) === String(attributes.strides) &&
      forward.groups === attributes.groups &&
      String(inputs[0]!.shape.slice(2)) === String(attributes.inputSize),
  );
  for (const forward of candidates) {
    const weightGradient = weightGradients.find(
      ({ inputs: [x, dy] }) => dy === cotangent && x === forward.node.inputs[0],
    );
    if (weightGradient && fits(forward.node, weightGradient)) return { forward, weightGradient };
  }
  // The input's elements are not read for its own gradient.
  return candidates[0] && { forward: candidates[0] };
}

/** Whether a filter gradient has the shape and the geometry of a convolution. */
function fits({ inputs: [, weight], attributes, outputs }: Node<'Conv'>, gradient: Node<'ConvWeightGrad'>): boolean {
  return (
    String(weight!.shape) === String(gradient.outputs[0]!.shape) &&
    String(attributes.pads) === String(gradient.attributes.pads) &&
    String(attributes.strides) === String(gradient.attributes.strides) &&
    String(outputs[0]!.shape) === String(gradient.inputs[1]!.shape)
  );
}

function convGrad(
  emit: Emitter,
  { node, x, weight }: Forward,
  cotangent: string,
  wanted: readonly boolean[],
): readonly string[] {
  const { strides, pads, groups } = node.attributes;
  const filter = node.inputs[1]!;
  emit.multi(
    'ConvGrad',
    [cotangent, x, weight],
    2,
    {
      strides,
      pads,
      dilations: [1, 1],
      group: groups,
      kernel_shape: [staticDim(filter.shape, 2), staticDim(filter.shape, 3)],
    },
    microsoft,
  );
  return blankOutputs(emit, wanted);
}
