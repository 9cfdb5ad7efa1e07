/** Graphs in the lowering of this CPU, blocked where it can be: values and gradients against the reference in float64. */
import { elementCount } from '../../src/files/tensor.js';
import { gradients } from '../../src/grad/index.js';
import { type Graph, mul, reduceSum, staticShape, type Value } from '../../src/graph/index.js';
import { cut, lower, type Lowering } from '../../src/lower/index.js';
import type { OnnxNode } from '../../src/onnx/model.js';
import { chooseLowering } from '../../src/pipeline/index.js';
import { Random } from '../../src/random.js';
import { createNativeRuntime } from '../../src/runtime/native/index.js';
import { expectClose } from '../reference/compare.js';
import { evaluate } from '../reference/evaluate.js';
import { runOnnx } from '../run-onnx.js';

/** What `auto` chooses here. */
export async function chosenLowering(): Promise<Lowering> {
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    return (await chooseLowering('auto', runtime)).lowering;
  } finally {
    runtime.dispose();
  }
}

/**
 * Feeds normal numbers, and compares `values` and the gradients of all inputs for a random cotangent of the first of them.
 * @returns the nodes that were written
 */
export async function compareWithReference(
  lowering: Lowering,
  graph: Graph,
  values: readonly [Value, ...Value[]],
): Promise<readonly OnnxNode[]> {
  const inputs = [...graph.inputs.values()];
  const random = new Random(1, 'blocked convolutions');
  const [y] = values;
  const weight = graph.constant({
    dtype: 'float32',
    shape: y.shape as number[],
    data: Float32Array.from({ length: elementCount(y.shape as number[]) }, () => random.normal()),
  });
  const loss = reduceSum(mul(y, weight));
  const found = gradients([{ output: loss, cotangent: graph.scalar(1) }], inputs);
  const outputs = [...values, ...found];
  const named = outputs.map((value, i) => ({ name: `out${i}`, value }));
  const model = lower(
    cut('compared', named, () => true, String),
    lowering,
  );
  const feeds = new Map(
    [...graph.inputs].map(([name, value]) => {
      const shape = staticShape(value.shape);
      const data = Float64Array.from({ length: elementCount(shape) }, () => Math.fround(random.normal()));
      return [name, { shape, data }];
    }),
  );
  const actual = await runOnnx(model, feeds);
  const expected = evaluate(outputs, new Map([...feeds].map(([name, { data }]) => [name, data])));
  expected.forEach((numbers, i) => expectClose(actual.get(`out${i}`)!.data, numbers, 2e-5, `output ${i}`));
  return model.graph.nodes;
}
