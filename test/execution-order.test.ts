/** In which order ONNX Runtime runs our graphs: predicted, held against its profiler, and as the method needs it. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { buildGraphs, type GraphSet, type Port } from '../src/artifacts/index.js';
import { elementCount } from '../src/files/tensor.js';
import { executionOrder, orderLeaves, portable } from '../src/lower/index.js';
import { encodeModel } from '../src/onnx/encode.js';
import type { OnnxModel, OnnxNode } from '../src/onnx/model.js';
import { parseRecipe } from '../src/recipe/index.js';

const small = (patches: object): ReturnType<typeof parseRecipe> =>
  parseRecipe(
    {
      network: { type: 'cifar-resnet', depth: 14, widths: [4, 4, 8, 8], classes: 3, image: [1, 8, 8] },
      split: { modules: 4 },
      local: { rule: 'infopro', hierarchy: { independent: 0.1, cascade: 0.9 }, patches },
      optimizer: { type: 'sgd', learningRate: 0.1 },
      schedule: { type: 'constant', epochs: 1 },
      data: { dataset: 'digits', batch: 4, normalize: { mean: [0.3], std: [0.3] } },
    },
    'small',
  );

const variants: [string, object][] = [
  ['shared, mean', { grid: 2, on: ['decoder', 'classifier'], weights: 'shared', fuse: 'mean' }],
  ['shared, sum', { grid: 2, on: ['decoder', 'classifier'], weights: 'shared', fuse: 'sum' }],
  ['separate, sum', { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' }],
];

const graphsOf = (patches: object): GraphSet =>
  buildGraphs(small(patches), { lowering: portable, schedules: ['sync', 'fused'] });

const modelsOf = (patches: object): ReadonlyMap<string, OnnxModel> => graphsOf(patches).models;

/** Names of nodes in the order in which ONNX Runtime's profiler saw them. */
async function profiledOrder(model: OnnxModel, inputs: readonly Port[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'hpff-profile-'));
  const session = await InferenceSession.create(encodeModel(model), {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    enableProfiling: true,
    profileFilePrefix: join(folder, 'profile'),
  });
  const feeds = inputs.map(({ name, dtype, shape }) => {
    const dims = shape as number[];
    const count = elementCount(dims);
    const tensor =
      dtype === 'int64'
        ? new Tensor('int64', new BigInt64Array(count), dims)
        : new Tensor('float32', new Float32Array(count).fill(0.5), dims);
    return [name, tensor] as const;
  });
  await session.run(Object.fromEntries(feeds));
  session.endProfiling();
  await session.release();
  const [file] = await readdir(folder);
  const events = JSON.parse(await readFile(join(folder, file!), 'utf8')) as { name: string; ts: number }[];
  await rm(folder, { recursive: true });
  return events
    .filter(({ name }) => name.endsWith('_kernel_time'))
    .sort((a, b) => a.ts - b.ts)
    .map(({ name }) => name.slice(0, -'_kernel_time'.length));
}

test('the predicted order is the one that the profiler shows', async () => {
  const { manifest, models } = graphsOf(variants[0]![1]);
  for (const file of ['modules/01/heads.onnx', 'modules/02/update.onnx', 'modules/03/forward.onnx', 'step.onnx']) {
    const model = models.get(file)!;
    const { inputs } = manifest.graphs.find((graph) => graph.file === file)!;
    expect(await profiledOrder(model, inputs), file).toEqual(executionOrder(model.graph.nodes).map(({ name }) => name));
  }
});

describe.each(variants)('patches %s', (_name, patches) => {
  const fused = 'mean' === (patches as { fuse: string }).fuse;

  test.each(['modules/01/heads.onnx', 'step.onnx'])('run one after another in %s', (file) => {
    const order = executionOrder(modelsOf(patches).get(file)!.graph.nodes);
    // A head's convolutions, forward and backward, by patch. A mean takes one pass for the outputs and one for the gradients.
    const head = /^1\/heads\/heads\.1\.cascade\.decoder(?:\.\d)?\/patch(\d)\/.*(?:Conv|MatMul)/;
    const runs: string[] = [];
    for (const { name } of order) {
      const patch = head.exec(name)?.[1];
      if (patch !== undefined && runs.at(-1) !== patch) runs.push(patch);
    }
    // The last output of the forward pass is made right before the first patch of the backward pass.
    expect(runs).toEqual(fused ? ['0', '1', '2', '3', '0', '1', '2', '3'] : ['0', '1', '2', '3']);
  });
});

test('a weight gradient is computed while the backward pass is at its layer', () => {
  const order = executionOrder(modelsOf(variants[2]![1]).get('modules/02/update.onnx')!.graph.nodes);
  const at = (pattern: RegExp): number => order.findIndex(({ name }) => pattern.test(name));
  const updated = at(/^2\/update\/optimizer\/layer2\.1\.conv2\.weight\//);
  expect(updated).toBeGreaterThan(0);
  expect(updated).toBeLessThan(at(/^2\/update\/layer2\.1\/conv1\//));
});

describe('orderLeaves', () => {
  const node = (name: string, ...inputs: string[]): OnnxNode => ({
    name,
    domain: '',
    opType: 'Sum',
    inputs,
    outputs: [name],
    attributes: {},
  });

  test('keeps topological order and every node', () => {
    for (const { graph } of modelsOf(variants[0]![1]).values()) {
      const made = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
      for (const { name, inputs, outputs } of graph.nodes) {
        for (const input of inputs) expect(input === '' || made.has(input), `${name} reads ${input}`).toBe(true);
        outputs.forEach((output) => made.add(output));
      }
    }
  });

  test('runs first what is ready first', () => {
    const nodes = [node('a', 'x'), node('b', 'a'), node('c', 'b'), node('leafOfC', 'c'), node('leafOfA', 'a')];
    const names = executionOrder(orderLeaves(nodes)).map(({ name }) => name);
    expect(names).toEqual(['a', 'leafOfA', 'b', 'c', 'leafOfC']);
  });
});
