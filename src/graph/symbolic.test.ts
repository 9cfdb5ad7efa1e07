/** A dimension that is known only at run time goes through an inference graph, and the graph runs at any length of it. */
import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/reference/compare.js';
import { evaluate } from '../../test/reference/evaluate.js';
import { draw } from '../../test/operators/index.js';
import { runOnnx } from '../../test/run-onnx.js';
import { cut, lower, portable } from '../lower/index.js';
import { Random } from '../random.js';
import {
  adaptiveAveragePool,
  add,
  averagePool,
  batchNormInference,
  conv,
  flatten,
  globalAveragePool,
  Graph,
  linear,
  relu,
  resizeBilinear,
  type Value,
} from './index.js';

/** A residual block, then the ways in which a network can end. */
function network() {
  const graph = new Graph('inference');
  const random = new Random(1, 'symbolic');
  const weights = (shape: readonly number[], range: 'signed' | 'positive' = 'signed'): Value => {
    const data = draw(
      range,
      shape.reduce((product, dim) => product * dim, 1),
      random,
    );
    return graph.constant({ dtype: 'float32', shape, data: Float32Array.from(data as Float64Array) });
  };
  const x = graph.input('x', 'float32', ['N', 3, 8, 8]);
  const normalised = (value: Value): Value =>
    batchNormInference(value, weights([4]), weights([4]), weights([4]), weights([4], 'positive'));
  const main = normalised(conv(x, weights([4, 3, 3, 3]), { stride: 2, padding: 1 }));
  const shortcut = normalised(conv(x, weights([4, 3, 1, 1]), { stride: 2 }));
  const h = relu(add(main, shortcut));
  const classifier = (features: Value): Value =>
    linear(features, weights([5, features.shape[1] as number]), weights([5]));
  return {
    graph,
    outputs: {
      pooled: classifier(globalAveragePool(h)),
      windows: classifier(flatten(averagePool(h, [2, 2]))),
      uneven: classifier(flatten(adaptiveAveragePool(h, [3, 3]))),
      resized: classifier(flatten(resizeBilinear(h, [6, 5]))),
    },
  };
}

describe('a symbolic batch', () => {
  const { outputs } = network();
  const values = Object.values(outputs);
  const model = lower(
    cut(
      'inference',
      Object.entries(outputs).map(([name, value]) => ({ name, value })),
      () => true,
      String,
    ),
    portable,
  );

  it('is in the types of inputs and outputs, and of the model', () => {
    for (const value of values) expect(value.shape).toEqual(['N', 5]);
    expect(model.graph.inputs[0]!.shape).toEqual(['N', 3, 8, 8]);
    expect(model.graph.outputs.map(({ shape }) => shape)).toEqual(values.map(() => ['N', 5]));
  });

  it.each([1, 3])('takes %d images', async (batch) => {
    const data = draw('signed', batch * 3 * 8 * 8, new Random(batch, 'images')) as Float64Array;
    const actual = await runOnnx(model, new Map([['x', { shape: [batch, 3, 8, 8], data }]]));
    const expected = evaluate(values, new Map([['x', data]]), { N: batch });
    Object.keys(outputs).forEach((name, i) => {
      expect(actual.get(name)!.shape).toEqual([batch, 5]);
      expectClose(actual.get(name)!.data, expected[i]!, 2e-5, name);
    });
  });
});
