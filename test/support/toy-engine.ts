/** A stand-in for the engines: the state of a real recipe under arithmetic that takes no time. Everything depends on every bit. */
import { buildGraphs, type Manifest } from '../../src/artifacts/index.js';
import type { Batch } from '../../src/data/dataset.js';
import { float32, type HostTensor, type NamedTensors } from '../../src/files/tensor.js';
import { portable } from '../../src/lower/index.js';
import type { OpenEngine, StepRun, TrainEngine } from '../../src/pipeline/index.js';
import type { Recipe } from '../../src/recipe/index.js';

/** Called before each update, with its loss, and before each evaluated batch. */
export const hooks: {
  beforeStep?: ((step: number) => void) | undefined;
  /** What a loss becomes; may change weights. `images`: a number that tells batches apart. */
  loss?: ((loss: number, images: number, weights: NamedTensors) => number) | undefined;
  beforeEvaluate?: (() => void) | undefined;
} = {};

const manifests = new Map<string, Manifest>();

export async function openToyEngine(recipe: Recipe): Promise<OpenEngine> {
  const key = JSON.stringify([recipe.network, recipe.split, recipe.local]);
  const known = manifests.get(key) ?? buildGraphs(recipe, { lowering: portable, schedules: [] }).manifest;
  manifests.set(key, known);
  const engine = new ToyEngine(known, recipe.network.classes);
  return { engine, manifest: known, runtime: { version: 'toy' }, dispose: () => {} } as unknown as OpenEngine;
}

class ToyEngine implements TrainEngine {
  readonly delay = 0;
  private weights: NamedTensors = new Map();
  private optimizer: NamedTensors = new Map();

  constructor(
    private readonly manifest: Manifest,
    private readonly classes: number,
  ) {}

  load(weights: NamedTensors, optimizer?: NamedTensors): void {
    const zeros = this.manifest.states.map(({ name, shape }): [string, HostTensor] => {
      return [name, float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)))];
    });
    this.weights = copy(weights);
    this.optimizer = copy(optimizer ?? new Map(zeros));
  }

  async run({ first, next, report }: StepRun): Promise<void> {
    for (let step = first; ; step++) {
      const input = await next();
      if (!input) return;
      await report?.(await this.step(input.batch, input.learningRate, step), step);
    }
  }

  takeTimes() {
    return [];
  }

  async step(batch: Batch, learningRate: number, step: number) {
    hooks.beforeStep?.(step);
    let force = 0;
    batch.image.data.forEach((value, i) => (force += value * ((i % 7) - 3)));
    for (const { name, parameter } of this.manifest.states) {
      const velocity = floats(this.optimizer, name);
      const weight = floats(this.weights, parameter);
      weight.forEach((value, i) => {
        velocity[i] = 0.9 * velocity[i]! + 1e-4 * force + 0.01 * value;
        weight[i] = value - learningRate * velocity[i];
      });
    }
    const own = Math.abs(floats(this.weights, 'fc.weight')[0]! + step);
    const loss = hooks.loss?.(own, force, this.weights) ?? own;
    return { losses: new Map([['2/final/classifier', loss]]), total: 2 * loss, gradients: new Map() };
  }

  async evaluate(image: Batch['image']): Promise<Float32Array> {
    hooks.beforeEvaluate?.();
    const weight = floats(this.weights, 'fc.weight');
    return Float32Array.from({ length: image.shape[0]! * this.classes }, (_, i) => weight[i % weight.length]!);
  }

  async readWeights(): Promise<NamedTensors> {
    return copy(this.weights);
  }

  async readOptimizer(): Promise<NamedTensors> {
    return copy(this.optimizer);
  }

  dispose(): void {}
}

const floats = (tensors: NamedTensors, name: string): Float32Array => tensors.get(name)!.data as Float32Array;

function copy(tensors: NamedTensors): NamedTensors {
  return new Map(
    [...tensors].map(([name, { shape, data }]) => [name, float32(shape, Float32Array.from(data as Float32Array))]),
  );
}
