/** The golden step's files. */
import { readFileSync } from 'node:fs';
import { decodeSafetensors } from '../../src/files/safetensors.js';
import type { NamedTensors } from '../../src/files/tensor.js';
import { parseRecipe } from '../../src/recipe/index.js';

const path = (leaf: string): URL => new URL(`../golden/hpff-resnet32-k4.${leaf}`, import.meta.url);

export const goldenTensors = (leaf: 'weights' | 'batch' | 'expected'): NamedTensors =>
  decodeSafetensors(readFileSync(path(`${leaf}.safetensors`)), leaf).tensors;

export const goldenRecipe = parseRecipe(JSON.parse(readFileSync(path('recipe.json'), 'utf8')), 'golden recipe');
