/**
 * The bridge to PyTorch: a state dict that PyTorch wrote gives PyTorch's logits here, and one that we write gives ours there. What PyTorch
 * wrote for test/bridge/recipe.json lies beside it:
 *
 *     tools/bridge/pytorch.py make test/bridge/recipe.json --weights test/bridge/torchvision.safetensors --sample test/bridge/sample.safetensors
 *
 * Where PyTorch is installed, it is asked itself.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadDataset } from '../src/data/load.js';
import { prefetch } from '../src/data/prefetch.js';
import { loadClassifier } from '../src/export/index.js';
import { readSafetensors, writeSafetensors } from '../src/files/safetensors.js';
import { float32, type HostTensor, type NamedTensors } from '../src/files/tensor.js';
import { readRecipe } from '../src/recipe/read.js';
import { createNativeRuntime } from '../src/runtime/native/index.js';
import { evaluationLoader } from '../src/train/index.js';
import { hpff } from './cli.js';

const fixture = (name: string): string => path.join(import.meta.dirname, 'bridge', name);
const recipeFile = fixture('recipe.json');
const theirs = fixture('torchvision.safetensors');
const folder = mkdtempSync(path.join(tmpdir(), 'hpff-pytorch-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => path.join(folder, name);

const tensorsOf = async (file: string): Promise<NamedTensors> => (await readSafetensors(file)).tensors;

/** Runs a command that must succeed. */
async function done(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await hpff(...args);
  expect(code, stderr).toBe(0);
  return { stdout, stderr };
}

async function onnxLogits(model: string, sample: string): Promise<Float32Array> {
  using runtime = await createNativeRuntime({ threads: 1 });
  using classifier = await loadClassifier(model, runtime);
  return await classifier.score((await tensorsOf(sample)).get('image') as HostTensor<'float32'>);
}

/** max |found - expected| / max |expected| */
function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  const largest = Math.max(...Array.from(expected, Math.abs));
  return Math.max(...Array.from(expected, (value, i) => Math.abs(found[i]! - value))) / largest;
}

const logitsIn = async (file: string): Promise<Float32Array> =>
  (await tensorsOf(file)).get('logits')!.data as Float32Array;

test("PyTorch's state dict becomes a model with PyTorch's logits", async () => {
  const { stdout } = await done(
    'init',
    recipeFile,
    '--weights',
    theirs,
    '--naming',
    'torchvision',
    '-o',
    at('w.safetensors'),
  );
  expect(stdout).toMatch(/; 47 tensors from .*torchvision\.safetensors \(naming torchvision\); heads from seed 3\n$/);
  await done('export', recipeFile, '--weights', at('w.safetensors'), '-o', at('m.onnx'));
  const expected = await logitsIn(fixture('sample.safetensors'));
  expect(difference(await onnxLogits(at('m.onnx'), fixture('sample.safetensors')), expected)).toBeLessThan(1e-5);
  // Without the step in between: the same model.
  await done('export', recipeFile, '--weights', theirs, '--naming', 'torchvision', '-o', at('direct.onnx'));
  expect(readFileSync(at('direct.onnx'))).toEqual(readFileSync(at('m.onnx')));
});

test('there and back, the tensors are the same but for the count of batches', async () => {
  await done('init', recipeFile, '--weights', theirs, '-o', at('ours.safetensors'));
  await done(
    'export',
    recipeFile,
    '--weights',
    at('ours.safetensors'),
    '--naming',
    'torchvision',
    '-o',
    at('back.safetensors'),
  );
  const expected = [...(await tensorsOf(theirs))].map(([name, tensor]) =>
    name.endsWith('num_batches_tracked') ? [name, { ...tensor, data: BigInt64Array.of(0n) }] : [name, tensor],
  );
  expect(Object.fromEntries(await tensorsOf(at('back.safetensors')))).toEqual(Object.fromEntries(expected));
});

test('a run begins with given weights, and goes on with its own', async () => {
  const run = at('run');
  const command = ['train', recipeFile, '-o', run, '--weights', theirs, '--reset', 'fc', '--threads', '1'];
  const { stderr } = await done(...command, '--steps', '1');
  expect(stderr).toMatch(
    /^begins with 45 tensors from .*torchvision\.safetensors \(naming torchvision\); fc and heads from seed 3\n/,
  );
  await done('init', recipeFile, '--weights', theirs, '--reset', 'fc', '-o', at('start.safetensors'));
  const start = path.join(run, 'checkpoints', '0', 'weights.safetensors');
  expect(await tensorsOf(start)).toEqual(await tensorsOf(at('start.safetensors')));
  const initial = await tensorsOf(at('start.safetensors'));
  expect(initial.get('fc.weight')).not.toEqual((await tensorsOf(theirs)).get('fc.weight'));
  expect(initial.get('stem.conv.weight')).toEqual((await tensorsOf(theirs)).get('conv1.weight'));

  const resumed = await done(...command, '--steps', '2', '--resume');
  expect(resumed.stderr).not.toContain('begins with');
  expect(readFileSync(path.join(run, 'latest'), 'utf8')).toBe('2\n');
});

test('the same start gives the same bits, and another seed other heads only', async () => {
  const init = (name: string, ...more: string[]) =>
    done('init', recipeFile, '--weights', theirs, '-o', at(name), ...more);
  await init('a.safetensors');
  await init('b.safetensors');
  await init('c.safetensors', '--seed', '4');
  expect(readFileSync(at('a.safetensors'))).toEqual(readFileSync(at('b.safetensors')));
  const [a, c] = [await tensorsOf(at('a.safetensors')), await tensorsOf(at('c.safetensors'))];
  const changed = [...a.keys()].filter((name) => Buffer.compare(bytesOf(a.get(name)!), bytesOf(c.get(name)!)) !== 0);
  expect(changed.length).toBeGreaterThan(0);
  expect(changed.every((name) => name.startsWith('heads.'))).toBe(true);
});

const bytesOf = ({ data }: HostTensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

test.each<[string, string[]]>([
  ['WEIGHTS_NAMING', ['init', recipeFile, '--weights', theirs, '--naming', 'hpff', '-o', at('x.safetensors')]],
  ['SAFETENSORS_PICKLE', ['train', recipeFile, '--weights', pickle(), '-o', at('x')]],
  ['FILE_MISSING', ['train', recipeFile, '--weights', at('none'), '-o', at('x')]],
  ['USAGE', ['train', recipeFile, '--naming', 'torchvision', '-o', at('x')]],
  ['USAGE', ['init', recipeFile, '--reset', 'fc', '-o', at('x.safetensors')]],
  ['USAGE', ['init', recipeFile, '--weights', theirs, '--reset', 'fc,stem', '-o', at('x.safetensors')]],
  ['USAGE', ['init', recipeFile, '--weights', theirs, '--naming', 'keras', '-o', at('x.safetensors')]],
  ['USAGE', ['export', recipeFile, '--weights', theirs, '--threads', '1', '-o', at('x.safetensors')]],
])('%s: one line, exit code 2, nothing written', async (code, args) => {
  const refused = await hpff(...args);
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toMatch(new RegExp(`^hpff: ${code}: [^\\n]+\\n$`));
  expect(() => readFileSync(at('x.safetensors'))).toThrow('ENOENT');
  expect(() => readFileSync(at('x/recipe.json'))).toThrow('ENOENT');
});

/** The beginning of what torch.save writes. */
function pickle(): string {
  const file = at('w.pt');
  writeFileSync(file, Buffer.from('PK\x03\x04\0\0\x08\x08\0\0', 'latin1'));
  return file;
}

const tool = path.join(import.meta.dirname, '../tools/bridge/pytorch.py');
const python = pythonWith('torch');
const visionPython = pythonWith('torch', 'torchvision');

function pythonWith(...modules: string[]): string | undefined {
  const found = modules.map((name) => `find_spec('${name}')`).join(' and ');
  const program = `from importlib.util import find_spec; import sys; sys.exit(not (${found}))`;
  return ['python3', '/usr/bin/python3'].find((each) => spawnSync(each, ['-c', program]).status === 0);
}

/** What PyTorch gives for the images in `sample` with our file of weights, loaded strictly. */
async function torchLogits(recipe: string, naming: string, weights: string, sample: string): Promise<Float32Array> {
  const output = at('torch-logits.safetensors');
  const args = ['run', recipe, '--naming', naming, '--weights', weights, '--sample', sample, '-o', output];
  execFileSync(visionPython ?? python!, [tool, ...args], { stdio: 'pipe' });
  return await logitsIn(output);
}

describe.skipIf(!python)(`with PyTorch${python ? '' : ': needs python3-torch'}`, { timeout: 120_000 }, () => {
  test.each(['hpff', 'torchvision'])(
    'a trained run, under naming %s, has the same logits and accuracy',
    async (naming) => {
      const run = at(`run-${naming}`);
      await done('train', recipeFile, '-o', run, '--steps', '4', '--threads', '1');
      const file = at(`${naming}.safetensors`);
      await done('export', run, '-o', file, '--naming', naming);
      await done('export', run, '-o', at('run.onnx'));
      const { images, labels } = await digits();
      await writeSafetensors(at('images.safetensors'), new Map([['image', images]]));
      const found = await torchLogits(recipeFile, naming, file, at('images.safetensors'));
      expect(difference(found, await onnxLogits(at('run.onnx'), at('images.safetensors')))).toBeLessThan(1e-4);
      const { accuracy } = JSON.parse((await done('eval', run, '--json', '--threads', '1')).stdout) as {
        accuracy: number;
      };
      expect(accuracyOf(found, labels)).toBeCloseTo(accuracy, 9);
    },
  );

  test('a state dict under our own names is taken as it is', async () => {
    const args = [
      'make',
      recipeFile,
      '--naming',
      'hpff',
      '--weights',
      at('own.safetensors'),
      '--sample',
      at('own-sample'),
    ];
    execFileSync(python!, [tool, ...args], { stdio: 'pipe' });
    await done('export', recipeFile, '--weights', at('own.safetensors'), '--naming', 'hpff', '-o', at('own.onnx'));
    const expected = await logitsIn(at('own-sample'));
    expect(difference(await onnxLogits(at('own.onnx'), at('own-sample')), expected)).toBeLessThan(1e-5);
  });
});

const opted = process.env.HPFF_TORCHVISION === '1';
const reason = visionPython ? 'runs with HPFF_TORCHVISION=1' : 'needs python3-torchvision';
describe.skipIf(!visionPython || !opted)(`with torchvision: ${reason}`, { timeout: 1_200_000 }, () => {
  test.each([
    { type: 'imagenet-resnet', depth: 18, classes: 1000, image: [3, 64, 64] },
    { type: 'imagenet-resnet', depth: 50, classes: 1000, image: [3, 64, 64] },
    { type: 'imagenet-resnet', depth: 50, groups: 32, widthPerGroup: 4, classes: 10, image: [3, 64, 64] },
    { type: 'vgg', depth: 11, hidden: 4096, classes: 10, image: [3, 224, 224] },
  ])('$type $depth: its state dict has the same logits here, and ours there', async (network) => {
    const recipe = at('vision.json');
    const data = {
      dataset: 'image-folder',
      batch: 2,
      normalize: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    };
    const small = JSON.parse(readFileSync(recipeFile, 'utf8')) as object;
    writeFileSync(recipe, JSON.stringify({ ...small, network, local: { rule: 'bp' }, split: undefined, data }));
    const args = ['make', recipe, '--weights', at('vision.safetensors'), '--sample', at('sample'), '--images', '2'];
    execFileSync(visionPython!, [tool, ...args], { stdio: 'pipe' });
    const expected = await logitsIn(at('sample'));
    await done('export', recipe, '--weights', at('vision.safetensors'), '--naming', 'torchvision', '-o', at('v.onnx'));
    expect(difference(await onnxLogits(at('v.onnx'), at('sample')), expected)).toBeLessThan(1e-4);
    await done(
      'export',
      recipe,
      '--weights',
      at('vision.safetensors'),
      '--naming',
      'torchvision',
      '-o',
      at('v.safetensors'),
    );
    const found = await torchLogits(recipe, 'torchvision', at('v.safetensors'), at('sample'));
    expect(difference(found, expected)).toBeLessThan(1e-4);
  });
});

/** All test images, prepared as the recipe says. */
async function digits(): Promise<{ images: HostTensor<'float32'>; labels: number[] }> {
  const { data, network } = await readRecipe(recipeFile);
  const source = evaluationLoader(await loadDataset('digits', 'test'), data, network.image);
  const pixels: number[] = [];
  const labels: number[] = [];
  for await (const { batch } of prefetch(source, { endEpoch: 1 })) {
    pixels.push(...batch.image.data);
    labels.push(...[...batch.label.data].map(Number));
  }
  return { images: float32([labels.length, ...network.image], pixels), labels };
}

function accuracyOf(logits: Float32Array, labels: readonly number[]): number {
  const classes = logits.length / labels.length;
  const right = labels.filter((label, i) => {
    const scores = [...logits.subarray(i * classes, (i + 1) * classes)];
    return scores.indexOf(Math.max(...scores)) === label;
  });
  return right.length / labels.length;
}
