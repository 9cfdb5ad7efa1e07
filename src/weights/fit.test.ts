import { describe, expect, it } from 'vitest';
import { smallRecipe, trainedWeights } from '../../test/support/small-recipe.js';
import { InputError } from '../errors.js';
import { float32, type NamedTensors } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import { parseRecipe, type Recipe } from '../recipe/index.js';
import { fitWeights, type FitOptions } from './fit.js';
import { stateDict } from './state-dict.js';

const recipe = smallRecipe();
const trained = trainedWeights(recipe, 9);
const initial = initialWeights(recipe, 5);
const isHead = (name: string): boolean => name.startsWith('heads.');
const isLast = (name: string): boolean => name.startsWith('fc.');
const trunkOnly = (): NamedTensors => new Map([...trained].filter(([name]) => !isHead(name)));
const torchvision = (): NamedTensors => stateDict(trained, recipe, 'torchvision', 12);

const fit = (tensors: NamedTensors, options: FitOptions = {}, to: Recipe = recipe) =>
  fitWeights(tensors, to, 'w.safetensors', { seed: 5, ...options });

/** Where each tensor is from. */
function mixed(isDrawn: (name: string) => boolean): NamedTensors {
  return new Map([...initial.keys()].map((name) => [name, (isDrawn(name) ? initial : trained).get(name)!]));
}

function refusal(tensors: NamedTensors, options: FitOptions = {}, to?: Recipe): { code: string; message: string } {
  try {
    fit(tensors, options, to);
  } catch (error) {
    if (error instanceof InputError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('was not refused');
}

describe('what is taken and what is drawn', () => {
  it('takes everything from a whole file', () => {
    const { weights, naming, taken, drawn } = fit(trained);
    expect(weights).toEqual(trained);
    expect({ naming, taken, drawn }).toEqual({ naming: 'hpff', taken: trained.size, drawn: [] });
  });

  it('draws heads that the file has not, as a new run does', () => {
    const { weights, drawn } = fit(trunkOnly());
    expect(weights).toEqual(mixed(isHead));
    expect(drawn).toEqual(['heads']);
  });

  it.each<[FitOptions['reset'], (name: string) => boolean]>([
    [['fc'], isLast],
    [['heads'], isHead],
    [['fc', 'heads'], (name) => isHead(name) || isLast(name)],
  ])('draws what is to be reset: %s', (reset, isDrawn) => {
    const { weights, taken, drawn } = fit(trained, { reset });
    expect(weights).toEqual(mixed(isDrawn));
    expect(drawn).toEqual(reset);
    expect(taken).toBe([...trained.keys()].filter((name) => !isDrawn(name)).length);
  });

  it('does not look at what it resets', () => {
    const tensors = torchvision();
    tensors.set('fc.weight', float32([1000, 8], new Float32Array(8000)));
    tensors.delete('fc.bias');
    expect(fit(tensors, { reset: ['fc'] }).weights).toEqual(mixed((name) => isHead(name) || isLast(name)));
    const strange = new Map([...trained, ['heads.7.strange', float32([1], [1])] as const]);
    expect(fit(strange, { reset: ['heads'] }).weights).toEqual(mixed(isHead));
  });
});

describe("torchvision's names", () => {
  it('are recognized, and their counts of batches left aside', () => {
    const tensors = torchvision();
    expect(tensors.get('bn1.num_batches_tracked')).toEqual({ dtype: 'int64', shape: [], data: BigInt64Array.of(12n) });
    const { weights, naming } = fit(tensors);
    expect(weights).toEqual(mixed(isHead));
    expect(naming).toBe('torchvision');
    expect(fit(tensors, { naming: 'torchvision' }).weights).toEqual(weights);
  });

  it('give the file with the same names again', () => {
    expect(stateDict(fit(torchvision()).weights, recipe, 'torchvision', 12)).toEqual(torchvision());
  });

  it("of VGG: a convolution's bias goes into the running mean of the batch norm, and comes back as 0", () => {
    const network = { type: 'vgg', depth: 11, width: 2, hidden: 4, classes: 10, image: [1, 32, 32] };
    const { schedule, optimizer } = recipe;
    const data = { ...recipe.data, convert: { channels: null, pad: [32, 32] } };
    const vgg = parseRecipe({ network, local: { rule: 'bp' }, schedule, optimizer, data, seed: 1 }, 'vgg');
    const own = initialWeights(vgg);
    const tensors = stateDict(own, vgg, 'torchvision', 0);
    expect(tensors.get('features.4.bias')!.data).toEqual(new Float32Array(4));
    tensors.set('features.4.bias', float32([4], [1, 2, 3, 4]));
    tensors.set('features.5.running_mean', float32([4], [10, 10, 10, 10]));
    const { weights, naming } = fit(tensors, {}, vgg);
    expect(naming).toBe('torchvision');
    expect(weights.get('layer2.0.bn.running_mean')!.data).toEqual(Float32Array.of(9, 8, 7, 6));
    expect(weights.get('layer2.0.conv.weight')).toEqual(own.get('layer2.0.conv.weight'));
    tensors.delete('features.4.bias');
    expect(refusal(tensors, {}, vgg)).toMatchObject({
      code: 'WEIGHTS_MISSING',
      message: expect.stringContaining('"features.4.bias"') as string,
    });
  });
});

describe('what is refused', () => {
  it.each<[string, string, (tensors: NamedTensors) => void]>([
    ['WEIGHTS_MISSING', 'tensor "bn1.running_var": found nothing', (all) => all.delete('bn1.running_var')],
    ['WEIGHTS_MISSING', 'tensor "layer2.0.downsample.0.weight"', (all) => all.delete('layer2.0.downsample.0.weight')],
    ['WEIGHTS_UNKNOWN', 'tensor "layer9.0.conv1.weight"', (all) => all.set('layer9.0.conv1.weight', float32([1], [1]))],
    [
      'WEIGHTS_SHAPE',
      'tensor "conv1.weight": found shape [4, 9], allowed: [4, 1, 3, 3]',
      (all) => all.set('conv1.weight', float32([4, 9], new Float32Array(36))),
    ],
    [
      'WEIGHTS_CLASSES',
      'tensor "fc.weight": found 1000 classes, allowed: 10, as network.classes says, or a new classifier (--reset fc',
      (all) => all.set('fc.weight', float32([1000, 8], new Float32Array(8000))),
    ],
  ])('%s: %s', (code, message, change) => {
    const tensors = torchvision();
    change(tensors);
    const refused = refusal(tensors);
    expect(refused.code).toBe(code);
    expect(refused.message).toContain(`w.safetensors: ${message}`);
  });

  it('names under another naming than the one that was said', () => {
    const refused = refusal(torchvision(), { naming: 'hpff' });
    expect(refused.code).toBe('WEIGHTS_NAMING');
    expect(refused.message).toMatch(
      /naming hpff, such as "stem\.conv\.weight"; the file has those of --naming torchvision$/,
    );
  });

  it('names with a prefix before them', () => {
    const wrapped = new Map([...torchvision()].map(([name, tensor]) => [`model.module.${name}`, tensor]));
    const { code, message } = refusal(wrapped);
    expect(code).toBe('WEIGHTS_NAMING');
    expect(message).toContain('; take away the "model.module." before names of --naming torchvision');
  });

  it('an empty file, and one of another network', () => {
    expect(refusal(new Map())).toMatchObject({ code: 'WEIGHTS_NAMING' });
    expect(refusal(new Map([['a.b.c', float32([1], [1])]])).message).toMatch(
      /: found "a\.b\.c" among 1, allowed: .*"$/,
    );
  });

  it('heads of another recipe, and says how to do without them', () => {
    const tensors = new Map(trained);
    tensors.delete([...trained.keys()].find(isHead)!);
    const { code, message } = refusal(tensors);
    expect(code).toBe('WEIGHTS_MISSING');
    expect(message).toMatch(/tensor "heads\..*; --reset heads draws all heads from the seed$/);
  });
});
