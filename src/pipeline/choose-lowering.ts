/**
 * Which lowering to use. `auto` takes the blocked one where this CPU has its kernels and they pass a numeric self-test against the portable
 * one: they are an internal domain of ONNX Runtime, so they are believed only after they have been seen to work.
 */
import { InputError } from '../errors.js';
import { float32, type HostTensor } from '../files/tensor.js';
import { blocked, type Lowering, portable } from '../lower/index.js';
import { encodeModel } from '../onnx/encode.js';
import type { OnnxModel } from '../onnx/model.js';
import type { Runtime } from '../runtime/runtime.js';
import { selfTest } from './self-test.js';

export const loweringNames = ['auto', 'portable', 'blocked'] as const;

export interface LoweringChoice {
  readonly lowering: Lowering;
  /** Why this one, in words. */
  readonly reason: string;
}

/** Relative: rounding stays far below, and a wrong kernel does not. */
const tolerance = 1e-3;

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
  // Elsewhere ONNX Runtime would run the CPU's kernels on the CPU, and pass the test.
  if (runtime.device !== 'cpu') {
    if (name === 'auto') return { lowering: portable, reason: `device ${runtime.device} has no blocked kernels` };
    throw new InputError('LOWERING_UNAVAILABLE', `--lowering: found 'blocked', allowed on ${runtime.device}: portable`);
  }
  const key = `${runtime.device} ${runtime.version}`;
  if (!tested.has(key)) tested.set(key, testBlocked(runtime));
  const result = await tested.get(key)!;
  if ('block' in result) {
    const passed = `the self-test passed with blocks of ${result.block} channels`;
    const reason = name === 'blocked' ? `asked for; ${passed}` : passed;
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
    const difference = await selfTest(runtime, blocked(block));
    return difference < tolerance ? { block } : { problem: `results differ from the portable ones by ${difference}` };
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
