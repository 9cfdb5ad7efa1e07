/** What is measured: recipes of graphs/ under a schedule and a lowering, and PyTorch in both memory layouts. */
import { BenchProcess } from '../../dist/bench/index.js';
import { readRecipe } from '../../dist/recipe/read.js';
import { TorchProcess } from './torch-process.js';

/**
 * @typedef {object} Subject
 * @property {string} id what --only takes
 * @property {string} title
 * @property {boolean} torch
 * @property {(setting: { depth: number, batch: number, threads: number, python: string }) => Promise<object>} open
 *   a process to measure, a `Trainer` of src/bench
 */

const torchSubjects = [torch('torch', 'contiguous', false), torch('torch-channels-last', 'channels last', true)];

/** By depth of the residual network. */
export const SUBJECTS = {
  32: [
    ...torchSubjects,
    ours('bp-fused', 'back-propagation', 'resnet32-cifar10-bp', 'fused'),
    ours('bp-fused-portable', 'back-propagation', 'resnet32-cifar10-bp', 'fused', 'portable'),
    ours('hpff-sync', 'HPFF, 15 modules', 'resnet32-cifar10-hpff-k16', 'sync'),
    ours('hpff-fused', 'HPFF, 15 modules', 'resnet32-cifar10-hpff-k16', 'fused'),
    ours(
      'hpff-async',
      'HPFF, 15 modules, 2 stages of so many threads',
      'resnet32-cifar10-hpff-k16',
      'async',
      'auto',
      2,
    ),
    ours('hpff-paper-sync', 'HPFF, 15 modules, heads as in the paper', 'resnet32-cifar10-hpff-k16-paper', 'sync'),
  ],
  110: [
    ...torchSubjects,
    ours('bp-fused', 'back-propagation', 'resnet110-cifar10-bp', 'fused'),
    ours('hpff-sync', 'HPFF, 54 modules', 'resnet110-cifar10-hpff-k55', 'sync'),
  ],
};

/** @returns {Subject} */
function ours(id, method, name, schedule, lowering = 'auto', stages = undefined) {
  return {
    id,
    title: `hpff, ${method} (${schedule}${lowering === 'auto' ? '' : `, ${lowering}`})`,
    torch: false,
    open: async ({ batch, threads }) => {
      const recipe = await readRecipe(new URL(`../../graphs/${name}.json`, import.meta.url).pathname);
      return new BenchProcess({
        recipe: { ...recipe, data: { ...recipe.data, batch } },
        schedule,
        stages,
        lowering,
        threads,
      });
    },
  };
}

/** @returns {Subject} */
function torch(id, layout, channelsLast) {
  return {
    id,
    title: `PyTorch, back-propagation (${layout})`,
    torch: true,
    open: async (setting) => new TorchProcess({ ...setting, channelsLast }),
  };
}
