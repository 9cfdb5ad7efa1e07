/** Training sessions of ONNX Runtime 1.19.2 (WebAssembly) against our own runtime. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildTrainingGraphs, checkpointOf } from '../src/artifacts/ort-training/index.js';
import type { Batch } from '../src/data/dataset.js';
import { syntheticBatch } from '../src/data/synthetic.js';
import { decodeOrtCheckpoint } from '../src/files/ort-checkpoint/index.js';
import { readSafetensors, writeSafetensors } from '../src/files/safetensors.js';
import { float32, type HostTensor, type NamedTensors } from '../src/files/tensor.js';
import { initialWeights } from '../src/local/index.js';
import { encodeModel } from '../src/onnx/encode.js';
import { openEngine, trainOnBatch } from '../src/pipeline/index.js';
import { parseRecipe, type Recipe } from '../src/recipe/index.js';
import { readRecipe } from '../src/recipe/read.js';
import { loadWebApi } from '../src/runtime/ort-training/web-api.js';
import { hpff } from './cli.js';

const TOLERANCE = 1e-5;

/** A ResNet-20 for images so small that no ReLU's input is near zero by chance. */
const recipeFile = (changes: object): object => ({
  name: 'resnet20',
  network: { type: 'cifar-resnet', depth: 20, widths: [8, 8, 16, 32], classes: 10, image: [1, 8, 8] },
  split: { modules: 4 },
  schedule: { type: 'constant', epochs: 1 },
  data: { dataset: 'digits', batch: 8, normalize: { mean: [0.3], std: [0.4] } },
  seed: 1,
  ...changes,
});

const recipeOf = (changes: object): Recipe => parseRecipe(recipeFile(changes), 'recipe.json');

const adamw = { type: 'adamw', learningRate: 0.001, epsilon: 1e-3, weightDecay: 0.01 };
const nesterov = { type: 'sgd', learningRate: 0.001, momentum: 0.9, nesterov: true, weightDecay: 1e-4 };
const plainSgd = { type: 'sgd', learningRate: 0.001, momentum: 0, nesterov: false, weightDecay: 0 };
const dgl = { rule: 'dgl', classifier: { net: '2c2f', features: 32 } };
const hpffLocal = {
  rule: 'infopro',
  hierarchy: { independent: 0.1, cascade: 0.9 },
  patches: { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' },
};

/** Largest distance of a tensor from the same one of the other, by the length of the former as a vector. */
function distance(ours: NamedTensors, theirs: NamedTensors): [number, string] {
  expect([...theirs.keys()].sort()).toEqual([...ours.keys()].sort());
  let worst: [number, string] = [0, ''];
  for (const [name, { data }] of ours) {
    const other = theirs.get(name)!.data;
    let [difference, size] = [0, 0];
    data.forEach((value, i) => {
      difference += (Number(value) - Number(other[i])) ** 2;
      size += Number(value) ** 2;
    });
    const relative = Math.sqrt(difference / (size || 1));
    if (!(relative <= worst[0])) worst = [relative, name];
  }
  return worst;
}

async function threeSteps(
  recipe: Recipe,
  lowering: string,
  weights: NamedTensors,
  batch: Batch,
): Promise<NamedTensors> {
  return trainOnBatch(recipe, weights, batch, { steps: 3, lowering, threads: 1 }, { weights: 'weights' });
}

describe('three steps on a batch give what our own runtime gives, gradients and losses too', () => {
  it.each<[string, object, object, object?]>([
    ['AdamW, a classifier on each of four modules', adamw, dgl],
    ['SGD with momentum and decay, HPFF with patches', nesterov, hpffLocal],
    ['plain SGD, the paper’s patches', plainSgd, { ...hpffLocal, patches: { grid: 2, on: ['decoder', 'classifier'], weights: 'shared', fuse: 'mean' } }], // prettier-ignore
    ['AdamW, back-propagation', adamw, { rule: 'bp' }],
    ['SGD, smoothed labels', nesterov, { rule: 'bp' }, { loss: { labelSmoothing: 0.1 } }],
  ])('%s', { timeout: 120_000 }, async (_, optimizer, local, more: object = {}) => {
    const recipe = recipeOf({ optimizer, local, ...more });
    const weights = initialWeights(recipe);
    const batch = syntheticBatch(recipe);
    const ours = await threeSteps(recipe, 'portable', weights, batch);
    const theirs = await threeSteps(recipe, 'ort-training', weights, batch);
    const [difference, name] = distance(ours, theirs);
    expect(difference, name).toBeLessThan(TOLERANCE);
    // The comparison is of something that moved.
    const [moved] = distance(ours, new Map([...ours].map(([key, tensor]) => [key, weights.get(key.slice('param/'.length)) ?? tensor]))); // prettier-ignore
    expect(moved).toBeGreaterThan(100 * TOLERANCE);
  });
});

describe('AdamW of a training session, with the usual ε', () => {
  const small = { network: { type: 'cifar-resnet', depth: 8, widths: [4, 4, 8, 8], classes: 10, image: [1, 8, 8] }, split: { modules: 2 } }; // prettier-ignore
  const config = { type: 'adamw', learningRate: 0.001, epsilon: 1e-8, weightDecay: 0.01 } as const;
  const [beta1, beta2] = [0.9, 0.999];
  const recipe = recipeOf({ ...small, optimizer: config, local: dgl });
  const batch = syntheticBatch(recipe);

  /** Its steps by the formula, in double precision, from the gradients that the session itself has found. */
  function byFormula(start: NamedTensors, gradients: readonly NamedTensors[]): NamedTensors {
    const { learningRate, epsilon, weightDecay } = config;
    const follow = (value: number, found: readonly number[]): number => {
      let [m, v] = [0, 0];
      found.forEach((gradient, i) => {
        m = beta1 * m + (1 - beta1) * gradient;
        v = beta2 * v + (1 - beta2) * gradient ** 2;
        const scale = Math.sqrt(v / (1 - beta2 ** (i + 1))) + epsilon;
        value -= learningRate * (weightDecay * value + m / (1 - beta1 ** (i + 1)) / scale);
      });
      return value;
    };
    return new Map(
      [...gradients[0]!.keys()].map((name) => {
        const { shape, data } = start.get(name)!;
        const elements = Array.from(data as Float32Array, (value, i) => follow(value, gradients.map((each) => Number(each.get(name)!.data[i])))); // prettier-ignore
        return [name, float32(shape, elements)];
      }),
    );
  }

  it(
    'follows the formula, tells its state from the first step on, and goes on with the same bits',
    { timeout: 60_000 },
    async () => {
      const { engine, manifest, dispose } = await openEngine(recipe, { backend: 'ort-training', batch: 8, gradients: true }); // prettier-ignore
      try {
        const start = initialWeights(recipe);
        const states = manifest.states.map(({ name }) => name);
        engine.load(start);
        expect([...(await engine.readOptimizer()).keys()]).toEqual(states);

        const gradients: NamedTensors[] = [];
        const train = async (from: number, to: number): Promise<void> => {
          for (let i = from; i <= to; i++) gradients.push((await engine.step(batch, 0.001, i, true)).gradients);
        };
        await train(1, 2);
        const [weights, optimizer] = [await engine.readWeights(), await engine.readOptimizer()];
        expect([...optimizer.keys()].sort()).toEqual([...states].sort());
        await train(3, 4);
        const [endWeights, endOptimizer] = [await engine.readWeights(), await engine.readOptimizer()];

        const expected = byFormula(start, gradients);
        const trained = new Map([...endWeights].filter(([name]) => expected.has(name)));
        const [difference, worst] = distance(expected, trained);
        expect(difference, worst).toBeLessThan(TOLERANCE);

        engine.load(weights, optimizer);
        await train(3, 4);
        expect(await engine.readWeights()).toEqual(endWeights);
        expect(await engine.readOptimizer()).toEqual(endOptimizer);
      } finally {
        dispose();
      }
    },
  );
});

describe('models', () => {
  const { models, modules } = buildTrainingGraphs(recipeOf({ optimizer: nesterov, local: hpffLocal }));
  const operators = (file: string): string[] => models.get(file)!.graph.nodes.map(({ opType }) => opType);

  it('have the operators of ONNX Runtime’s own gradients', () => {
    const training = new Set(operators('modules/02/training_model.onnx'));
    const own = ['ConvGrad', 'ReluGrad', 'BatchNormInternal', 'BatchNormalizationGrad', 'InPlaceAccumulatorV2'];
    for (const operator of [...own, 'SoftmaxCrossEntropyLossInternalGrad']) expect(training).toContain(operator);
  });

  it('have one gradient operator for both gradients of a convolution', () => {
    const count = (index: number): [number, number] => {
      const found = operators(`modules/0${index}/training_model.onnx`);
      return [found.filter((each) => each === 'Conv').length, found.filter((each) => each === 'ConvGrad').length];
    };
    // The last module has one backward pass, in which every convolution has an input gradient for the relay.
    const [convolutions, gradients] = count(3);
    expect(gradients).toBe(convolutions);
  });

  it('take a relay from above and give one below', () => {
    const training = (index: number) => modules[index]!.training.graph;
    expect(
      training(0)
        .inputs.slice(0, 2)
        .map(({ name }) => name),
    ).toEqual(['image', 'relay/0']);
    expect(
      training(1)
        .inputs.slice(0, 3)
        .map(({ name }) => name),
    ).toEqual(['feature/0', 'image', 'label']);
    expect(training(1).outputs.map(({ name }) => name)).toContain('relay/0');
    // The cascade heads of module 2 weigh nothing.
    expect(training(2).outputs.map(({ name }) => name)).not.toContain('relay/1');
    expect(training(3).outputs[0]).toMatchObject({ name: 'loss', shape: [] });
    expect(modules.map(({ forward }) => forward !== null)).toEqual([true, true, true, false]);
  });

  it('load in training sessions, all four', { timeout: 60_000 }, async () => {
    const api = loadWebApi();
    const recipe = recipeOf({ optimizer: nesterov, local: hpffLocal });
    const weights = initialWeights(recipe);
    for (const module of modules) {
      const session = await api.TrainingSession.create(
        {
          checkpointState: checkpointOf(module, { weights, optimizer: null, step: 0 }, recipe),
          trainModel: encodeModel(module.training),
          evalModel: encodeModel(module.evaluation),
          optimizerModel: encodeModel(module.optimizer),
        },
        { logSeverityLevel: 3 },
      );
      expect(session.trainingOutputNames[0]).toBe('loss');
      expect(session.evalOutputNames[0]).toBe('loss');
      expect(session.evalInputNames).not.toContain('relay/0');
      await session.release();
    }
  });

  it('end with a buffer and an accumulator for each trained parameter', () => {
    const { graph } = modules[1]!.training;
    const names = modules[1]!.trainable.map(({ name }) => name);
    const inputs = graph.inputs.map(({ name }) => name);
    expect(inputs.slice(-names.length - 1)).toEqual([
      ...names.map((name) => `${name}_grad.accumulation.buffer`),
      'lazy_reset_grad',
    ]);
    const outputs = graph.outputs.map(({ name }) => name);
    expect(outputs.slice(-names.length)).toEqual(names.map((name) => `${name}_grad.accumulation.out`));
  });

  it('are refused for optimizers that training sessions lack', () => {
    const recipe = recipeOf({ optimizer: { ...nesterov, clipNorm: 1 }, local: dgl });
    expect(() => buildTrainingGraphs(recipe)).toThrow(/^optimizer\.clipNorm: found 1, allowed with training sessions/);
  });
});

describe('commands', () => {
  let folder: string;
  const at = (...names: string[]): string => path.join(folder, ...names);

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'hpff-ort-training-'));
    const small = { type: 'cifar-resnet', depth: 8, widths: [4, 4, 8, 8], classes: 10, image: [1, 8, 8] };
    const changes = {
      network: small,
      split: { modules: 3 },
      schedule: { type: 'step', epochs: 2, milestones: [1], gamma: 0.1 },
      optimizer: { ...nesterov, learningRate: 0.05 },
      data: { dataset: 'digits', batch: 256, normalize: { mean: [0.3], std: [0.4] } },
    };
    writeFileSync(at('recipe.json'), JSON.stringify(recipeFile({ ...changes, local: dgl })));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('train, resume, and convert checkpoints both ways', { timeout: 120_000 }, async () => {
    const train = async (run: string, ...more: string[]) =>
      hpff('train', at('recipe.json'), '-o', at(run), '--backend', 'ort-training', '--json', ...more);
    const losses = (run: string): unknown[] =>
      readFileSync(at(run, 'metrics.jsonl'), 'utf8').split('\n').filter(Boolean).map((line) => (JSON.parse(line) as { losses?: unknown }).losses); // prettier-ignore

    expect(await train('whole')).toMatchObject({ code: 0 });
    expect(await train('parts', '--steps', '5')).toMatchObject({ code: 0 });
    // In the second epoch, at another learning rate.
    expect(await train('parts', '--resume', '--steps', '8')).toMatchObject({ code: 0 });
    expect(await train('parts', '--resume')).toMatchObject({ code: 0 });
    const steps = 2 * Math.floor(1437 / 256);
    const weights = async (run: string): Promise<NamedTensors> =>
      (await readSafetensors(at(run, 'checkpoints', String(steps), 'weights.safetensors'))).tensors;
    expect(await weights('parts')).toEqual(await weights('whole'));
    const sessions = readFileSync(at('parts', 'sessions.jsonl'), 'utf8').split('\n').filter(Boolean);
    for (const line of sessions) expect(JSON.parse(line)).toMatchObject({ onnxRuntime: '1.19.2 (WebAssembly)', threads: 1 }); // prettier-ignore
    expect(losses('whole')).toHaveLength(4);

    const built = await hpff(
      'build',
      at('recipe.json'),
      '--lowering',
      'ort-training',
      '--from',
      at('whole'),
      '-o',
      at('ort'),
    );
    expect(built).toMatchObject({ code: 0, stderr: '' });
    expect(decodeOrtCheckpoint(readFileSync(at('ort', 'modules', '01', 'checkpoint')), 'c').optimizer!.step).toBe(
      steps,
    );
    const files = ['-o', at('back.safetensors'), '--optimizer', at('back-optimizer.safetensors')];
    expect(await hpff('init', at('recipe.json'), '--from-ort', at('ort'), ...files)).toMatchObject({ code: 0 });
    expect((await readSafetensors(at('back.safetensors'))).tensors).toEqual(await weights('whole'));
    const { tensors } = await readSafetensors(at('whole', 'checkpoints', String(steps), 'optimizer.safetensors'));
    const back = (await readSafetensors(at('back-optimizer.safetensors'))).tensors;
    expect(new Map([...back].sort())).toEqual(new Map([...tensors].sort()));
  });

  it('trained parameters that are no numbers are not converted', async () => {
    const recipe = await readRecipe(at('recipe.json'));
    const weights = initialWeights(recipe);
    weights.set('fc.bias', float32([10], Array<number>(10).fill(NaN)));
    mkdirSync(at('odd'));
    for (const module of buildTrainingGraphs(recipe).modules) {
      mkdirSync(at('odd', 'modules', `0${module.index}`), { recursive: true });
      const file = at('odd', 'modules', `0${module.index}`, 'checkpoint');
      writeFileSync(file, checkpointOf(module, { weights, optimizer: null, step: 0 }, recipe));
    }
    const { code, stderr } = await hpff('init', at('recipe.json'), '--from-ort', at('odd'), '-o', at('odd.st'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/^hpff: WEIGHTS_VALUE: .*02\/checkpoint: tensor "fc.bias": element 0 is NaN, allowed: finite numbers\n$/); // prettier-ignore
  });

  it('weights and optimizer state are not written over each other', async () => {
    const files = ['-o', at('one'), '--optimizer', at('.', 'one')];
    const { code, stderr } = await hpff('init', at('recipe.json'), '--from-ort', at('ort'), ...files);
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'hpff: USAGE: --optimizer: found the file of --output, allowed: another\n' }); // prettier-ignore
  });

  it.each([
    [['--backend', 'sessions', '--lowering', 'ort-training'], /--lowering: found 'ort-training' with --backend sessions, allowed: with --backend ort-training/], // prettier-ignore
    [
      ['--ort-library', 'any.so'],
      /--ort-library: found without training sessions, allowed: with --backend ort-training/,
    ],
  ])('%j is refused by train and by step', async (more, message) => {
    const refused = { code: 2, stderr: expect.stringMatching(message) as string };
    const recipe = at('recipe.json');
    expect(await hpff('train', recipe, '-o', at('none'), ...more)).toMatchObject(refused);
    const batch = syntheticBatch(await readRecipe(recipe));
    await writeSafetensors(
      at('batch'),
      new Map<string, HostTensor>([
        ['image', batch.image],
        ['label', batch.label],
      ]),
    );
    await writeSafetensors(at('weights'), initialWeights(await readRecipe(recipe)));
    const files = ['--weights', at('weights'), '--batch', at('batch'), '-o', at('none')];
    expect(await hpff('step', recipe, ...files, ...more)).toMatchObject(refused);
  });

  it.each([
    [
      ['--schedule', 'async'],
      /^hpff: BACKEND_OPTION: --schedule: found 'async' with training sessions, allowed: sync\n$/,
    ],
    [['--delay', '2'], /^hpff: SCHEDULE_OPTION: --delay: found with --schedule sync, allowed: with async only\n$/],
    [['--stages', '2'], /^hpff: SCHEDULE_OPTION: --stages: found with --schedule sync/],
    [['--threads', '2'], /^hpff: BACKEND_OPTION: --threads: found 2 with training sessions in WebAssembly, allowed: 1, or more with --ort-library\n$/], // prettier-ignore
    [['--lowering', 'portable'], /^hpff: BACKEND_OPTION: --lowering: found 'portable' with --backend ort-training/],
    [['--ort-library', '/no/such.so'], /^hpff: RUNTIME_LIBRARY_MISSING: --ort-library \/no\/such\.so: no such file\n$/],
  ])('%j is refused', async (more, message) => {
    const { code, stderr } = await hpff(
      'train',
      at('recipe.json'),
      '-o',
      at('none'),
      '--backend',
      'ort-training',
      ...more,
    );
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) as string });
  });

  it('a library of another version is refused by its version', async () => {
    const { bundledLibrary } = await import('../src/runtime/native/library.js');
    const more = ['--backend', 'ort-training', '--ort-library', bundledLibrary()];
    const { code, stderr } = await hpff('train', at('recipe.json'), '-o', at('none'), ...more);
    expect({ code, stderr: stderr.replace(/\/\S+/, 'FILE') }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^hpff: RUNTIME_VERSION: --ort-library FILE found ONNX Runtime 1\.\d+\.\d+, allowed: exactly 1\.19\.2/) as string, // prettier-ignore
    });
  });
});
