import { describe, expect, it } from 'vitest';
import { encodeModel } from './encode.js';
import type { OnnxModel } from './model.js';
import { exampleModel } from '../../test/onnx-models.js';

describe('encodeModel', () => {
  it('writes the same bytes whatever the order in which names were inserted', () => {
    const model = exampleModel();
    const reversed = <T>(record: Readonly<Record<string, T>>) => Object.fromEntries(Object.entries(record).reverse());
    const shuffled: OnnxModel = {
      ...model,
      metadata: reversed(model.metadata ?? {}),
      opsets: reversed(model.opsets),
      graph: {
        ...model.graph,
        nodes: model.graph.nodes.map((node) => ({ ...node, attributes: reversed(node.attributes) })),
      },
    };
    expect(encodeModel(shuffled)).toEqual(encodeModel(model));
  });
});
