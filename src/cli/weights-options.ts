/** Options of the commands that take weights from a file: which file, whose names, what begins anew. */
import { Option } from 'commander';
import { InputError } from '../errors.js';
import { printable, quoted } from '../files/printable.js';
import { readSafetensors } from '../files/safetensors.js';
import type { Recipe } from '../recipe/index.js';
import {
  fitWeights,
  type FittedWeights,
  namingNames,
  type NamingName,
  resettable,
  type Resettable,
} from '../weights/index.js';
import { choiceOption } from './options.js';
import { counted } from './words.js';

export interface WeightsOptions {
  /** A safetensors file. */
  readonly weights?: string;
  readonly naming?: NamingName;
  readonly reset?: readonly Resettable[];
}

export const weightsOption = () =>
  new Option('--weights <file>', 'safetensors file with the trunk to start from, and its heads if it has any');

export const namingOption = (description: string) => choiceOption('--naming <naming>', description, namingNames);

export const resetOption = () => {
  const option = new Option(
    '--reset <parts>',
    `with --weights: draw from the seed, not from the file: ${resettable.join(', ')}`,
  );
  // Given twice, it means both.
  return option.argParser((text: string, before: readonly Resettable[] = []): Resettable[] => {
    const parts = [...before, ...text.split(',')];
    const wrong = parts.find((part) => !(resettable as readonly string[]).includes(part));
    if (wrong === undefined) return parts as Resettable[];
    const allowed = `${resettable.join(', ')} or ${resettable.join(',')}`;
    throw new InputError('USAGE', `${option.long}: found ${quoted(wrong, 60)}, allowed: ${allowed}`);
  });
};

/** @throws InputError `USAGE` for options that need `--weights` */
export function requireWeightsFor(options: WeightsOptions, ...names: readonly ('naming' | 'reset')[]): void {
  if (options.weights !== undefined) return;
  const lone = names.find((name) => options[name] !== undefined);
  if (lone !== undefined) throw new InputError('USAGE', `--${lone}: found without --weights, allowed: with it only`);
}

/**
 * Reads the file of `--weights` and completes it for the recipe.
 * @param seed instead of the recipe's
 * @throws InputError as `readSafetensors` and `fitWeights`
 */
export async function readWeights(
  recipe: Recipe,
  file: string,
  options: WeightsOptions,
  seed?: number,
): Promise<FittedWeights> {
  const { tensors } = await readSafetensors(file);
  return fitWeights(tensors, recipe, file, { naming: options.naming, reset: options.reset, seed });
}

/** Where the weights are from, in words. */
export function originOf(file: string, { naming, taken, drawn }: FittedWeights, seed: number): string {
  const rest = drawn.length === 0 ? '' : `; ${drawn.join(' and ')} from seed ${seed}`;
  return `${counted(taken, 'tensor')} from ${printable(file)} (naming ${naming})${rest}`;
}
