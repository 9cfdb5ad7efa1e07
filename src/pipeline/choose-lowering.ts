/**
 * Which lowering to use. `auto` takes the blocked one where this CPU has its kernels and they pass a numeric self-test against the portable
 * one: they are an internal domain of ONNX Runtime, so they are believed only after they have been seen to work.
 */
import { buildGraphs } from '../artifacts/index.js';
import { InputError } from '../errors.js';
import { float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import { blocked, type Lowering, portable } from '../lower/index.js';
import { encodeModel } from '../onnx/encode.js';
import type { OnnxModel } from '../onnx/model.js';
import { Random } from '../random.js';
import { parseRecipe } from '../recipe/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { StepEngine } from './step-engine.js';

export const loweringNames = ['auto', 'portable', 'blocked'] as const;

export interface LoweringChoice {
  readonly lowering: Lowering;
  /** Why this one, in words. */
  readonly reason: string;
}

/** Results of the self-test by ONNX Runtime version: the CPU does not change while the process runs. */
const tested = new Map<string, Promise<{ block: number } | { problem: string }>>();

/**
 * @throws InputError for an unknown name, or for `blocked` where it does not work on this machine
 */
export async function chooseLowering(name: string, runtime: Runtime): Promise<LoweringChoice> {
  if (name === 'portable') return { lowering: portable, reason: 'asked for' };
  if (name !== 'auto' && name !== 'blocked') {
    throw new InputError('LOWERING_UNKNOWN', `--lowering: found '${name}', allowed: ${loweringNames.join(', ')}`);
  }
  const key = `${runtime.device} ${runtime.version}`;
  if (!tested.has(key)) tested.set(key, testBlocked(runtime));
  const result = await tested.get(key)!;
  if ('block' in result) {
    const reason = `the self-test passed with blocks of ${result.block} channels`;
    return { lowering: blocked(result.block), reason };
  }
  if (name === 'blocked') {
    throw new InputError(
      'LOWERING_UNAVAILABLE',
      `--lowering: found 'blocked', which does not work here: ${result.problem}`,
    );
  }
  return { lowering: portable, reason: `the blocked kernels do not work here: ${result.problem}` };
}

async function testBlocked(runtime: Runtime): Promise<{ block: number } | { problem: string }> {
  const { onnxRuntime } = blocked(8);
  if (runtime.version !== onnxRuntime) {
    return { problem: `they are known for ONNX Runtime ${onnxRuntime}, this is ${runtime.version}` };
  }
  try {
    const block = await probeBlock(runtime);
    if (block === null) return { problem: 'this CPU has no such kernels' };
    const difference = await compareLowerings(runtime, blocked(block));
    return difference < 1e-3 ? { block } : { problem: `gradients differ from the portable ones by ${difference}` };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Channels in a block: how far apart a reorder of a ramp puts two pixels. Null where the result is no such reorder. */
async function probeBlock(runtime: Runtime): Promise<number | null> {
  const channels = 32;
  const session = await runtime.createSession(encodeModel(reorderModel(channels)), { name: 'block size probe' });
  // Channel c of pixel p holds 2·c + p.
  const input = runtime.upload(
    float32(
      [1, channels, 1, 2],
      Float32Array.from({ length: 2 * channels }, (_, i) => i),
    ),
  );
  try {
    const outputs = await session.run(new Map([['x', input]]));
    const output = outputs.get('y')!;
    const { data } = output.read() as HostTensor<'float32'>;
    output.dispose();
    const block = data.indexOf(1);
    return block === 8 || block === 16 ? block : null;
  } finally {
    input.dispose();
    session.dispose();
  }
}

function reorderModel(channels: number): OnnxModel {
  const shape = [1, channels, 1, 2];
  return {
    irVersion: 8,
    opsets: { '': 17, 'com.microsoft.nchwc': 1 },
    graph: {
      name: 'probe',
      nodes: [
        {
          name: 'reorder',
          domain: 'com.microsoft.nchwc',
          opType: 'ReorderInput',
          inputs: ['x'],
          outputs: ['y'],
          attributes: {},
        },
      ],
      inputs: [{ name: 'x', dtype: 'float32', shape }],
      outputs: [{ name: 'y', dtype: 'float32', shape }],
      initializers: [],
    },
  };
}

/** A step that meets every blocked kernel: all stages of a small network, heads and patches. */
const testRecipe = parseRecipe(
  {
    name: 'self-test',
    network: { type: 'cifar-resnet', depth: 8, widths: [16, 16, 32, 32], classes: 4, image: [3, 8, 8] },
    split: { modules: 3 },
    local: {
      rule: 'infopro',
      hierarchy: { independent: 0.5, cascade: 0.5 },
      classifier: { net: '1c1f' },
      patches: { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' },
    },
    optimizer: { type: 'sgd', learningRate: 0.1 },
    schedule: { type: 'constant', epochs: 1 },
    data: { dataset: 'cifar10', batch: 16 },
  },
  'self-test',
);

/** ‖g - g'‖ / ‖g‖ over all gradients of one step. */
async function compareLowerings(runtime: Runtime, candidate: Lowering): Promise<number> {
  const expected = await gradientsWith(runtime, portable);
  const found = await gradientsWith(runtime, candidate);
  let difference = 0;
  let norm = 0;
  for (const [name, { data }] of expected) {
    const other = found.get(name)!.data as Float32Array;
    (data as Float32Array).forEach((value, i) => {
      difference += (value - other[i]!) ** 2;
      norm += value ** 2;
    });
  }
  return Math.sqrt(difference / norm);
}

async function gradientsWith(runtime: Runtime, lowering: Lowering): Promise<NamedTensors> {
  const graphs = buildGraphs(testRecipe, { lowering, schedules: ['fused'], gradients: true });
  const engine = await StepEngine.create(runtime, graphs, { schedule: 'fused' });
  try {
    engine.load(initialWeights(testRecipe));
    const { batch } = testRecipe.data;
    const { image: size, classes } = testRecipe.network;
    const random = new Random(1, 'self-test');
    const pixels = batch * size[0] * size[1] * size[2];
    const image = float32(
      [batch, ...size],
      Float32Array.from({ length: pixels }, () => random.normal()),
    );
    const data = BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % classes));
    const label: HostTensor<'int64'> = { dtype: 'int64', shape: [batch], data };
    return (await engine.stepWithGradients({ image, label }, 0.1, 1)).gradients;
  } finally {
    engine.dispose();
  }
}
