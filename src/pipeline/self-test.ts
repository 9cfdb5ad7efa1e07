/**
 * A numeric test of a lowering: losses and gradients of a small network, against the portable lowering. The network has what the networks and heads
 * of a recipe are made of, so that it needs every operator that a lowering may write in a way of its own.
 */
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { gradients } from '../grad/index.js';
import {
  addAll,
  after,
  averagePool,
  concat,
  flatten,
  Graph,
  maxPool,
  mul,
  reduceMean,
  slice,
  softmaxCrossEntropy,
  staticDim,
  sub,
  type Value,
} from '../graph/index.js';
import { classifierHead } from '../local/heads/classifier.js';
import { decoderHead } from '../local/heads/decoder.js';
import type { Head } from '../local/heads/head.js';
import { cut, type GraphSlice, lower, type Lowering, type NamedValue, portable } from '../lower/index.js';
import { createTrunk, type Part, partsOf } from '../networks/index.js';
import { conv2d, dense, initialize, LayerContext, type ParameterSpec, ParameterStore } from '../nn/index.js';
import { encodeModel } from '../onnx/encode.js';
import { Random } from '../random.js';
import type { Runtime } from '../runtime/runtime.js';

const batch = 8;
const classes = 4;
const channels = 3;
const side = 8;

/**
 * The largest difference that a lowering makes, over all losses and gradients: ‖g - g'‖ / ‖g‖, where gradients that cancel to next to nothing count as
 * a thousandth of the largest.
 *
 * @throws RunError or InputError where the runtime cannot run it
 */
export async function selfTest(runtime: Runtime, lowering: Lowering): Promise<number> {
  const { test, parameters } = selfTestGraph();
  const feeds = feedsFor(parameters);
  const [expected, found] = await Promise.all([
    runModel(runtime, encodeModel(lower(test, portable)), portable.name, feeds),
    runModel(runtime, encodeModel(lower(test, lowering)), lowering.name, feeds),
  ]);
  const least = Math.max(...[...expected.values()].map(norm)) / 1000;
  const relative = [...expected].map(([name, tensor]) => {
    return distance(tensor, found.get(name)!) / Math.max(norm(tensor), least);
  });
  return Math.max(...relative);
}

/** The network with its losses and gradients as outputs. */
export function selfTestGraph(): { test: GraphSlice; parameters: readonly ParameterSpec[] } {
  const graph = new Graph('self-test');
  const store = new ParameterStore(graph);
  const image = graph.input('image', 'float32', [batch, channels, side, side]);
  const label = graph.input('label', 'int64', [batch]);
  const at = (path: string, training = true): LayerContext =>
    new LayerContext(store, { training, statistics: null }, path);

  const [stem, first, second] = partsOf(
    createTrunk({
      type: 'cifar-resnet',
      depth: 8,
      widths: [16, 16, 32, 32],
      classes,
      image: [channels, side, side],
    }),
  ) as [Part, Part, Part];
  const whole = first.build(at(''), stem.build(at(''), image));
  const halved = second.build(at(''), whole);
  const decoder = decoderHead({ net: 'cifar', widen: 1 }, () => image);
  const classifier = classifierHead(
    { net: '1c1f', features: 16, widen: 1, loss: 'cross-entropy', temperature: 1 },
    classes,
    label,
  );
  const losses = [
    lossOf(decoder, at('first'), whole),
    lossOf(decoder, at('second'), halved),
    lossOf(classifier, at('third'), halved),
    softmaxCrossEntropy(dense(at('fourth'), 'fc', flatten(averagePool(halved, [2, 2])), classes), label),
    // Without a batch norm, to which a scale makes no difference.
    meanSquare(conv2d(at('fifth'), 'conv', rejoined(whole), { out: 12, kernel: 3, padding: 1, bias: true })),
    meanSquare(sub(halved, mul(halved, halved))),
    meanSquare(maxPool(grouped(at('sixth'), whole), { kernel: 3, stride: 2, padding: 1 })),
  ];
  const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  const names = [...store.specs.keys()].filter((name) => read.has(graph.inputs.get(name)!));
  const found = gradients(
    [{ output: addAll(losses), cotangent: graph.scalar(1) }],
    names.map((name) => graph.inputs.get(name)!),
  );
  const outputs: NamedValue[] = [
    ...losses.map((value, i) => ({ name: `loss/${i}`, value })),
    ...found.map((value, i) => ({ name: `grad/${names[i]}`, value })),
    { name: 'inference', value: stem.build(at('', false), image) },
  ];
  const test = cut(graph.name, outputs, () => true, String);
  return { test, parameters: test.inputs.flatMap(({ name }) => store.specs.get(name) ?? []) };
}

const lossOf = (head: Head, context: LayerContext, features: Value): Value =>
  head.loss(head.build(context, features, 1), [{ grid: 1, row: 0, column: 0 }]);

/** Groups that are narrower than a block, then wider ones with stride 2. */
function grouped(context: LayerContext, map: Value): Value {
  const narrow = conv2d(context, 'narrow', map, { out: 16, kernel: 3, padding: 1, groups: 4 });
  return conv2d(context, 'wide', narrow, { out: 32, kernel: 3, stride: 2, padding: 1, groups: 2 });
}

const meanSquare = (x: Value): Value => reduceMean(mul(x, x));

/** A map cut in two, the lower half made to wait for the upper, and put together again. */
function rejoined(map: Value): Value {
  const height = staticDim(map.shape, 2);
  const rows = (start: number, end: number): Value => slice(map, { axes: [2], starts: [start], ends: [end] });
  const upper = rows(0, height / 2);
  return concat([upper, after(rows(height / 2, height), [upper])], 2);
}

function feedsFor(parameters: readonly ParameterSpec[]): NamedTensors {
  const random = new Random(1, 'self-test');
  const feeds = initialize(parameters, 1);
  // Constants are moved: what starts at 0 or 1 would hide that it is left out.
  for (const { name, shape, init } of parameters) {
    if (init.kind !== 'constant') continue;
    feeds.set(
      name,
      float32(
        shape,
        (feeds.get(name)!.data as Float32Array).map((x) => x + random.uniform() / 2),
      ),
    );
  }
  const pixels = Float32Array.from({ length: batch * channels * side * side }, () => random.uniform());
  feeds.set('image', float32([batch, channels, side, side], pixels));
  const labels = BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % classes));
  return feeds.set('label', { dtype: 'int64', shape: [batch], data: labels });
}

async function runModel(runtime: Runtime, model: Uint8Array, name: string, feeds: NamedTensors): Promise<NamedTensors> {
  const session = await runtime.createSession(model, { name: `self-test, ${name}` });
  const inputs = new Map([...feeds].map(([input, tensor]) => [input, runtime.upload(tensor)]));
  try {
    const outputs = await session.run(inputs);
    const read = new Map([...outputs].map(([output, tensor]) => [output, tensor.read()]));
    for (const tensor of outputs.values()) tensor.dispose();
    return read;
  } finally {
    for (const tensor of inputs.values()) tensor.dispose();
    session.dispose();
  }
}

const norm = ({ data }: HostTensor): number => length(data as Float32Array);

function distance(a: HostTensor, b: HostTensor): number {
  const other = b.data as Float32Array;
  return length((a.data as Float32Array).map((value, i) => value - other[i]!));
}

const length = (vector: Float32Array): number => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
