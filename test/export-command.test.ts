/** `hpff export`: from a run folder to a verified model, or a refusal that harms nothing. */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { decodeSafetensors, writeSafetensors } from '../src/files/safetensors.js';
import { float32, type NamedTensors } from '../src/files/tensor.js';
import { checkModel } from '../src/onnx/check.js';
import { decodeModel } from '../src/onnx/decode.js';
import { toJson } from '../src/recipe/index.js';
import { hpff } from './cli.js';
import { smallRecipe, trainedWeights } from './support/small-recipe.js';

const recipe = smallRecipe();
let folder: string;
/** A run of three steps. */
let run: string;
let count = 0;
let output: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hpff-export-command-'));
  run = path.join(folder, 'run');
  const recipeFile = path.join(folder, 'recipe.json');
  await writeFile(recipeFile, toJson(recipe));
  const trained = await hpff('train', recipeFile, '-o', run, '--steps', '3', '--threads', '1');
  expect(trained.code, trained.stderr).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  const fresh = path.join(folder, String(count++));
  await mkdir(fresh);
  output = path.join(fresh, 'm.onnx');
});

interface Exported {
  readonly file: string;
  readonly maxRelativeDifference: number;
  readonly images: number;
  readonly verifiedWith: string;
  readonly bytes: number;
}

async function weightsFile(tensors: NamedTensors): Promise<string> {
  const file = path.join(path.dirname(output), 'w.safetensors');
  await writeSafetensors(file, tensors);
  return file;
}

const model = async () => decodeModel(await readFile(output), output);

test('a run is exported with its latest weights, and the model scores as the run does', async () => {
  const { code, stdout, stderr } = await hpff('export', run, '-o', output, '--json', '--threads', '1');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const exported = JSON.parse(stdout) as Exported;
  expect(exported).toMatchObject({ file: output, images: 256, verifiedWith: 'test images of digits' });
  expect(exported.maxRelativeDifference).toBeLessThan(1e-5);
  expect(exported.bytes).toBe((await readFile(output)).length);
  checkModel(await model());

  const latest = await readFile(path.join(run, 'checkpoints', '3', 'weights.safetensors'));
  const bias = decodeSafetensors(latest, 'w').tensors.get('fc.bias')!.data as Float32Array;
  const written = (await model()).graph.initializers.find(({ name }) => name === 'fc.bias')!;
  expect(new Float32Array(written.bytes.slice().buffer)).toEqual(bias);

  const [ofRun, ofModel] = [await hpff('eval', run, '--json'), await hpff('eval', output, '--json')];
  expect(ofModel.code, ofModel.stderr).toBe(0);
  const [before, after] = [ofRun, ofModel].map((each) => JSON.parse(each.stdout) as { accuracy: number; loss: number });
  expect(after!.accuracy).toBe(before!.accuracy);
  expect(after!.loss).toBeCloseTo(before!.loss, 5);
});

test('a name that ends with .SAFETENSORS means weights, too', async () => {
  const file = path.join(path.dirname(output), 'W.SAFETENSORS');
  expect(await hpff('export', run, '-o', file)).toMatchObject({ code: 0, stderr: '' });
  expect(decodeSafetensors(await readFile(file), file).tensors.has('fc.weight')).toBe(true);
});

test.each(['recipe.json', 'latest', 'metrics.jsonl', 'checkpoints/3/weights.safetensors'])(
  'the %s of the run is not overwritten',
  async (name) => {
    const file = path.join(run, name);
    const before = await readFile(file);
    const { code, stderr } = await hpff('export', run, '-o', file);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^hpff: OUTPUT_IN_RUN: [^\n]*\n$/) as string,
    });
    expect(await readFile(file)).toEqual(before);
  },
);

test('without --json, one line says what was written', async () => {
  const { code, stdout, stderr } = await hpff('export', run, '-o', output, '--threads', '1');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(
    /m\.onnx: \d+ bytes; on 256 test images of digits within \d\.\de-\d of the trained network\n$/,
  );
});

test('given weights are used instead; a file that is there is replaced', async () => {
  const weights = trainedWeights(recipe, 5);
  await writeFile(output, 'old');
  const { code, stderr } = await hpff('export', run, '-o', output, '--weights', await weightsFile(weights));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const written = (await model()).graph.initializers.find(({ name }) => name === 'fc.weight')!;
  expect(new Float32Array(written.bytes.slice().buffer)).toEqual(weights.get('fc.weight')!.data);
});

test('given weights need no heads; those of another recipe do not matter', async () => {
  const weights = trainedWeights(recipe);
  for (const name of [...weights.keys()].filter((each) => each.startsWith('heads.'))) weights.delete(name);
  expect((await hpff('export', run, '-o', output, '--weights', await weightsFile(weights))).code).toBe(0);
  const bytes = await readFile(output);
  weights.set('heads.9.strange', float32([1], [1]));
  expect((await hpff('export', run, '-o', output, '--weights', await weightsFile(weights))).code).toBe(0);
  expect(await readFile(output)).toEqual(bytes);
});

test('with given weights the run needs only its recipe', async () => {
  const bare = path.join(path.dirname(output), 'run');
  await mkdir(bare);
  await cp(path.join(run, 'recipe.json'), path.join(bare, 'recipe.json'));
  const { code } = await hpff('export', bare, '-o', output, '--weights', await weightsFile(trainedWeights(recipe)));
  expect(code).toBe(0);
  const file = path.join(folder, 'recipe.json');
  const same = await hpff('export', file, '-o', output, '--weights', await weightsFile(trainedWeights(recipe)));
  expect(same.code, same.stderr).toBe(0);
});

test('where the data are not at hand, random images verify, and it says so', async () => {
  const bare = path.join(path.dirname(output), 'run');
  await mkdir(bare);
  const other = { ...recipe, data: { ...recipe.data, dataset: 'mnist' as const } };
  await writeFile(path.join(bare, 'recipe.json'), toJson(other));
  const args = ['export', bare, '-o', output, '--json', '--weights', await weightsFile(trainedWeights(recipe))];
  const { code, stdout } = await hpff(...args);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ images: 64, verifiedWith: 'random images' });
  const named = await hpff(...args, '--data', path.join(bare, 'nowhere'));
  expect(named.code).toBe(2);
  expect(named.stderr).toContain('DATASET_MISSING');
});

test.each<[string, string, (tensors: NamedTensors) => void]>([
  ['WEIGHTS_MISSING', '"stem.conv.weight": found nothing', (tensors) => tensors.delete('stem.conv.weight')],
  ['WEIGHTS_MISSING', '"layer1.0.bn1.running_mean"', (tensors) => tensors.delete('layer1.0.bn1.running_mean')],
  ['WEIGHTS_UNKNOWN', '"extra"', (tensors) => tensors.set('extra', float32([1], [1]))],
  ['WEIGHTS_SHAPE', '"fc.bias": found shape [2, 5], allowed: [10]', (tensors) => reshape(tensors, 'fc.bias', [2, 5])],
])('weights that do not fit are refused: %s %s', async (code, message, change) => {
  const weights = trainedWeights(recipe);
  change(weights);
  const file = await weightsFile(weights);
  await writeFile(output, 'old');
  const refused = await hpff('export', run, '-o', output, '--weights', file);
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toContain(`hpff: ${code}: ${file}: tensor ${message}`);
  expect(await readFile(output, 'utf8')).toBe('old');
});

function reshape(tensors: NamedTensors, name: string, shape: readonly number[]): void {
  tensors.set(name, { ...tensors.get(name)!, shape });
}

test('weights that are not finite are refused with exit code 2, and nothing is written', async () => {
  const weights = trainedWeights(recipe);
  weights.set('fc.bias', float32([10], new Float32Array(10).fill(NaN)));
  const failed = await hpff('export', run, '-o', output, '--weights', await weightsFile(weights));
  expect(failed).toMatchObject({ code: 2, stdout: '' });
  expect(failed.stderr).toMatch(/^hpff: WEIGHTS_VALUE: [^\n]+"fc\.bias"[^\n]+\n$/);
  expect(existsSync(output)).toBe(false);
});

test.each<[string, () => Promise<string[]>]>([
  ['RUN_MISSING', async () => ['export', path.join(folder, 'none'), '-o', output]],
  ['FILE_MISSING', async () => ['export', run, '-o', output, '--weights', path.join(folder, 'none')]],
  ['OUTPUT_NOT_WRITABLE', async () => ['export', run, '-o', path.join(folder, 'none', 'm.onnx')]],
  ['OUTPUT_NOT_WRITABLE', async () => ['export', run, '-o', folder]],
  ['RUN_MISSING', async () => ['export', path.join(folder, 'recipe.json'), '-o', output]],
  ['USAGE', async () => ['export', run, '-o', output, '--naming', 'torchvision']],
  ['USAGE', async () => ['export', run]],
  ['USAGE', async () => ['export', '-o', output]],
  ['CHECKPOINT_CHECKSUM', async () => ['export', await damagedRun(), '-o', output]],
])('%s: refused with one line, exit code 2, and nothing written', async (code, args) => {
  const refused = await hpff(...(await args()));
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toMatch(new RegExp(`^hpff: ${code}: [^\\n]+\\n$`));
  expect((await readdir(path.dirname(output))).filter((name) => name.includes('onnx'))).toEqual([]);
});

/** A copy of the run with one bit of its weights turned. */
async function damagedRun(): Promise<string> {
  const copy = path.join(path.dirname(output), 'damaged');
  await cp(run, copy, { recursive: true });
  const file = path.join(copy, 'checkpoints', '3', 'weights.safetensors');
  const bytes = await readFile(file);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(file, bytes);
  return copy;
}
