/** Small models for tests of a runtime. */
import { encodeModel } from '../../onnx/encode.js';
import type { OnnxAttribute, OnnxNode, OnnxTensor, OnnxValueInfo } from '../../onnx/model.js';

/** A graph in which only what a test is about needs saying. */
export interface SmallModel {
  readonly inputs: Readonly<Record<string, ValueType>>;
  readonly outputs: Readonly<Record<string, ValueType>>;
  readonly nodes: readonly SmallNode[];
  readonly initializers?: readonly OnnxTensor[];
}

type Shape = readonly (number | string)[];
type ValueType = Shape | { readonly dtype: OnnxValueInfo['dtype']; readonly shape: Shape };

/** Operator, inputs, outputs, integer attributes. */
type SmallNode = readonly [string, readonly string[], readonly string[], Readonly<Record<string, number | number[]>>?];

export function smallModel({ inputs, outputs, nodes, initializers = [] }: SmallModel): Uint8Array {
  return encodeModel({
    irVersion: 8,
    opsets: { '': 17 },
    producerName: 'hpff',
    producerVersion: '0',
    graph: {
      name: 'small',
      inputs: valueInfos(inputs),
      outputs: valueInfos(outputs),
      nodes: nodes.map(node),
      initializers,
    },
  });
}

function valueInfos(values: Readonly<Record<string, ValueType>>): OnnxValueInfo[] {
  return Object.entries(values).map(([name, type]) => ({
    name,
    ...('dtype' in type ? type : { dtype: 'float32' as const, shape: type }),
  }));
}

function node([opType, inputs, outputs, attributes = {}]: SmallNode, index: number): OnnxNode {
  return {
    name: `${opType}${index}`,
    domain: '',
    opType,
    inputs,
    outputs,
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([name, value]): [string, OnnxAttribute] => [
        name,
        typeof value === 'number' ? { type: 'int', value } : { type: 'ints', value },
      ]),
    ),
  };
}
