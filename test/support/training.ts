/** Small trainings for tests: a recipe of a few milliseconds a step, and what a run folder holds. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseRecipe, type Recipe } from '../../src/recipe/index.js';
import type { MetricsEvent } from '../../src/train/index.js';

/** HPFF on the digits: 4 blocks of narrow layers in 3 modules, every head with a weight, 4 steps an epoch, augmented. */
export function tinyRecipe(changes: Record<string, unknown> = {}): Recipe {
  return parseRecipe(tinyRecipeFile(changes), 'tiny.json');
}

/** As the content of a recipe file. */
export function tinyRecipeFile(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    network: { type: 'cifar-resnet', depth: 8, widths: [2, 2, 4, 4], classes: 10, image: [1, 8, 8] },
    split: { modules: 3 },
    local: {
      rule: 'infopro',
      hierarchy: { independent: 0.001, cascade: 0.999 },
      lambda: { decoder: [5, 0.2], classifier: [0.05, 0.5] },
      classifier: { net: '1c1f' },
      patches: { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' },
    },
    optimizer: { type: 'sgd', learningRate: 0.05 },
    schedule: { type: 'cosine', epochs: 3, warmupEpochs: 1 },
    data: { dataset: 'digits', batch: 300, normalize: { mean: [0.3], std: [0.37] }, augment: { crop: { pad: 1 } } },
    seed: 3,
    ...changes,
  };
}

/** SHA-256 of the tensors in the latest checkpoint. */
export function latestBits(run: string): { step: number; weights: string; optimizer: string } {
  const step = Number(readFileSync(path.join(run, 'latest'), 'utf8'));
  const hash = (file: string): string =>
    createHash('sha256')
      .update(readFileSync(path.join(run, 'checkpoints', String(step), `${file}.safetensors`)))
      .digest('hex');
  return { step, weights: hash('weights'), optimizer: hash('optimizer') };
}

const neverTheSame = ['imagesPerSecond', 'stepSeconds', 'dataSeconds', 'peakBytes', 'residentBytes', 'stages'];

/** Lines of metrics.jsonl without what is never the same twice: time and memory. */
export function metricsOf(run: string): Partial<MetricsEvent>[] {
  const text = readFileSync(path.join(run, 'metrics.jsonl'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const event = JSON.parse(line) as MetricsEvent;
      return Object.fromEntries(Object.entries(event).filter(([key]) => !neverTheSame.includes(key)));
    });
}

/** Every file under a folder, sorted. */
export function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}
