/** Memory of a step: by hand on a step of two tasks, and as the method has it on real ones. */
import { describe, expect, test } from 'vitest';
import { blocked, portable } from '../lower/index.js';
import type { OnnxGraph, OnnxNode } from '../onnx/model.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { buildGraphs, buildSharedGraphs, type GraphEntry, type Manifest, stepMemory, unshared } from './index.js';
import type { Meaning, OutputPort, Port } from './manifest.js';

describe('two tasks', () => {
  const kibibytes = (count: number): number[] => [count, 256];
  const port = (name: string, meaning: Meaning, size = 4): Port => {
    return { name, dtype: 'float32', shape: kibibytes(size), meaning };
  };
  const node = (opType: string, inputs: string[], output: string): OnnxNode => {
    return { name: `make ${output}`, domain: '', opType, inputs, outputs: [output], attributes: {} };
  };

  interface Task {
    readonly phase: 'forward' | 'update';
    readonly inputs: Port[];
    readonly outputs: OutputPort[];
    readonly nodes: OnnxNode[];
  }

  function memoryOf(tasks: Task[], used: ReadonlyMap<string, string> = new Map()) {
    const entries = tasks.map(({ phase, inputs, outputs }): GraphEntry => {
      return { file: phase, module: 0, phase, inputs, outputs };
    });
    const models = new Map(
      tasks.map(({ phase, inputs, outputs, nodes }) => {
        const rename = (name: string): string => used.get(name) ?? name;
        const hidden = ({ name }: Port) => ({ name: rename(name), dtype: 'float32' as const, shape: [null, 256] });
        const graph: OnnxGraph = {
          name: phase,
          nodes: nodes.map((made) => ({
            ...made,
            inputs: made.inputs.map(rename),
            outputs: made.outputs.map(rename),
          })),
          inputs: inputs.map(hidden),
          outputs: outputs.map(hidden),
          initializers: [],
        };
        return [phase, { irVersion: 8, opsets: {}, graph }];
      }),
    );
    const shared = unshared({ manifest: { graphs: entries } as unknown as Manifest, models });
    const uses = new Map(
      [...shared.uses].map(([file, use]) => {
        const ports = entries.find((entry) => entry.file === file)!;
        const names = [...ports.inputs, ...ports.outputs].map(({ name }) => [name, used.get(name) ?? name] as const);
        return [file, { ...use, names: new Map(names) }];
      }),
    );
    const { peakBytes, peakGraph, peakNode } = stepMemory({ manifest: shared.manifest, uses }, 'sync', 1);
    return { kibibytes: peakBytes / 1024, peakGraph, peakNode };
  }

  const image = port('image', 'image');
  const weight = port('weight', 'parameter');
  /** image → a → stash, loss */
  const forward: Task = {
    phase: 'forward',
    inputs: [image, weight],
    outputs: [port('stash', 'stash'), port('loss', 'loss')],
    nodes: [node('Mul', ['image', 'weight'], 'a'), node('Relu', ['a'], 'stash'), node('Neg', ['stash'], 'loss')],
  };
  const update = (output: Partial<OutputPort> = {}, inputs: Port[] = []): Task => ({
    phase: 'update',
    inputs: [port('stash', 'stash'), weight, ...inputs],
    outputs: [{ ...port('next', 'parameter'), updates: 'weight', inPlace: true, ...output }],
    nodes: [
      node('Exp', ['stash'], 'b'),
      node('Exp', ['b'], 'c'),
      node('Add', ['b', 'c'], 'd'),
      node('Sub', ['weight', 'd'], 'next'),
    ],
  });

  test('what passes between them is alive until its last reader is done', () => {
    // The image dies with the forward task: stash, b, c and d.
    expect(memoryOf([forward, update()])).toEqual({ kibibytes: 16, peakGraph: 'update', peakNode: 'make d' });
    // Read again, it does not.
    expect(memoryOf([forward, update({}, [image])]).kibibytes).toBe(20);
  });

  test('losses leave with their task', () => {
    // image, a and stash; stash and loss.
    expect(memoryOf([forward])).toEqual({ kibibytes: 12, peakGraph: 'forward', peakNode: 'make stash' });
  });

  test('parameters that are not updated in place take spare memory, as much as one task needs', () => {
    const next = (name: string, inPlace: boolean): OutputPort => {
      return { ...port(`next/${name}`, 'parameter'), updates: name, inPlace };
    };
    const made = (phase: Task['phase'], ...outputs: OutputPort[]): Task => {
      const inputs = outputs.map(({ updates }) => port(updates!, 'parameter'));
      return { phase, inputs, outputs, nodes: outputs.map(({ name, updates }) => node('Neg', [updates!], name)) };
    };
    expect(memoryOf([made('forward', next('a', true), next('b', true))]).kibibytes).toBe(0);
    const [a, b, c] = [next('a', false), next('b', false), next('c', false)];
    expect(memoryOf([made('forward', a, b)]).kibibytes).toBe(8);
    expect(memoryOf([made('forward', a, b), made('update', c)]).kibibytes).toBe(8);
    const wide = { ...c, shape: [2, 512] };
    expect(memoryOf([made('forward', a, b), made('update', wide)]).kibibytes).toBe(12);
  });

  test('names of a shared model do not matter', () => {
    const names = new Map([
      ['stash', 'other/stash'],
      ['next', 'other/next'],
      ['weight', 'other/weight'],
    ]);
    expect(memoryOf([forward, update()], names)).toEqual(memoryOf([forward, update()]));
  });
});

describe.each([
  ['portable', portable],
  ['blocked', blocked(8)],
])('with the %s lowering', (_name, lowering) => {
  const block = lowering.block ?? 1;
  const recipeOf = (local: object, modules: number, depth = 26): Recipe =>
    parseRecipe(
      {
        network: { type: 'cifar-resnet', depth, widths: [16, 16, 32, 64], classes: 4, image: [3, 32, 32] },
        split: { modules },
        local,
        optimizer: { type: 'sgd', learningRate: 0.1 },
        schedule: { type: 'constant', epochs: 1 },
        data: { dataset: 'cifar10', batch: 32 },
      },
      'memory',
    );
  const bytes = (recipe: Recipe, schedule: 'sync' | 'fused', batch = 32): number =>
    stepMemory(buildSharedGraphs(recipe, { lowering, schedules: [schedule], batch }), schedule, block).peakBytes;
  const dgl = { rule: 'dgl', hierarchy: { independent: 0.1, cascade: 0.9 } };

  test('memory grows with depth in back-propagation, and not with the number of modules', () => {
    const [short, long] = [26, 38].map((depth) => bytes(recipeOf({ rule: 'bp' }, 1, depth), 'fused'));
    expect(long! / short!).toBeGreaterThan(1.3);
    const [few, many] = [bytes(recipeOf(dgl, 12), 'sync'), bytes(recipeOf(dgl, 18, 38), 'sync')];
    expect(many).toBeLessThan(1.02 * few);
    expect(many).toBeLessThan(0.6 * long!);
  });

  test('memory is proportional to the batch, but for what is of weights', () => {
    const recipe = recipeOf(dgl, 12);
    const growth = bytes(recipe, 'sync', 64) / bytes(recipe, 'sync', 32);
    expect(growth).toBeGreaterThan(1.9);
    expect(growth).toBeLessThanOrEqual(2.001);
  });

  test('graphs that share models take what graphs of their own take', () => {
    const recipe = recipeOf(dgl, 12);
    const own = unshared(buildGraphs(recipe, { lowering, schedules: ['sync'] }));
    const found = stepMemory(own, 'sync', block);
    expect(found.peakBytes).toBe(bytes(recipe, 'sync'));
    expect(found.peakGraph).toMatch(/^modules\/\d\d\/(forward|heads|relay|update)\.onnx$/);
  });

  test('heads that run on patches, one after another, take less than heads on the whole map', () => {
    const heads = (patches: object | null): number => {
      const recipe = recipeOf({ rule: 'infopro', hierarchy: { independent: 0.1, cascade: 0.9 }, patches }, 12);
      const graphs = buildSharedGraphs(recipe, { lowering, schedules: ['sync', 'fused'] });
      expect(stepMemory(graphs, 'fused', block).headBytes).toBe(0);
      return stepMemory(graphs, 'sync', block).headBytes;
    };
    const whole = heads(null);
    const patched = heads({ grid: 2, on: ['decoder', 'classifier'], weights: 'shared', fuse: 'mean' });
    expect(patched / whole).toBeGreaterThan(0.25);
    expect(patched / whole).toBeLessThan(0.9);
  });
});
