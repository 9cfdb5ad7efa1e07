/** Floating-point operations of a node: convolutions and matrix products; elementwise work does not count. A multiply-add is two. */
import { elementCount } from '../files/tensor.js';
import { type Node, staticShape, type Value } from '../graph/index.js';

export function nodeFlops(node: Node): number {
  const elements = (value: Value): number => elementCount(staticShape(value.shape));
  const [a, b] = node.inputs;
  switch (node.op) {
    // Every element of the smaller-kernel side meets every output position: outputs × (C/groups · kh · kw).
    case 'Conv':
      return 2 * elements(node.outputs[0]!) * elementCount(staticShape(b!.shape).slice(1));
    case 'ConvInputGrad':
      return 2 * elements(a!) * elementCount(staticShape(b!.shape).slice(1));
    case 'ConvWeightGrad':
      return 2 * elements(b!) * elementCount(staticShape(node.outputs[0]!.shape).slice(1));
    case 'MatMul': {
      const { transA } = (node as Node<'MatMul'>).attributes;
      return 2 * elements(node.outputs[0]!) * (a!.shape.at(transA ? -2 : -1) as number);
    }
    default:
      return 0;
  }
}
