/** Between tensors of ours and checkpoints of ONNX Runtime. */
import { describe, expect, it } from 'vitest';
import type { OrtCheckpoint } from '../../files/ort-checkpoint/index.js';
import { float32, type HostTensor } from '../../files/tensor.js';
import { fromOrtCheckpoint, type ModuleTensors, toOrtCheckpoint } from './checkpoint.js';

const specs: ModuleTensors = {
  trainable: [{ name: 'w', shape: [2] }],
  kept: [
    { name: 'running_mean', shape: [1] },
    { name: 'momentum/w', shape: [2] },
  ],
};

const tensors = (...entries: [string, HostTensor][]): Map<string, HostTensor> => new Map(entries);
const weights = tensors(['w', float32([2], [1, 2])], ['running_mean', float32([1], [3])]);
const sgd = { type: 'sgd', learningRate: 0.5, momentum: 0.9, nesterov: false, weightDecay: 0 } as const;
const adamw = { type: 'adamw', learningRate: 0.5, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 } as const;

const code = (found: string): unknown => expect.objectContaining({ code: found });

describe('a checkpoint of ONNX Runtime', () => {
  it('holds the momentum of sgd as a frozen parameter, zero where there is none yet', () => {
    const found = toOrtCheckpoint(specs, { weights, optimizer: null, step: 0 }, sgd);
    expect([...found.frozen]).toEqual([
      ['running_mean', float32([1], [3])],
      ['momentum/w', float32([2], [0, 0])],
    ]);
    expect(found.optimizer).toEqual({ step: 0, initialLearningRate: 0.5, moments: new Map() });
  });

  it.each([
    ['sgd', sgd, specs, tensors(['momentum/w', float32([2], [4, 5])])],
    ['adamw', adamw, { ...specs, kept: specs.kept.slice(0, 1) }, tensors(['adam.m/w', float32([2], [4, 5])], ['adam.v/w', float32([2], [6, 7])])], // prettier-ignore
  ])('gives back weights, step and state of %s', (_, config, own, optimizer) => {
    const found = fromOrtCheckpoint(toOrtCheckpoint(own, { weights, optimizer, step: 7 }, config), own, 'c');
    expect(found).toEqual({ weights, optimizer, step: 7 });
  });

  it('has a moment of its own for sgd, which means nothing', () => {
    const found = toOrtCheckpoint(specs, { weights, optimizer: null, step: 7 }, sgd);
    const moments = new Map([['w', tensors(['momentum0', float32([2], [0, 0])])]]);
    const saved: OrtCheckpoint = { ...found, optimizer: { ...found.optimizer!, moments } };
    expect([...fromOrtCheckpoint(saved, specs, 'c').optimizer.keys()]).toEqual(['momentum/w']);
  });

  it('is refused where a moment of adamw is missing or of another shape', () => {
    const own = { ...specs, kept: [] };
    const found = toOrtCheckpoint(own, { weights, optimizer: null, step: 7 }, adamw);
    const read = (...moments: [string, HostTensor][]) => {
      const optimizer = { ...found.optimizer!, moments: new Map([['w', tensors(...moments)]]) };
      return () => fromOrtCheckpoint({ ...found, optimizer }, own, 'c');
    };
    const sound = float32([2], [4, 5]);
    expect(read(['momentum0', sound], ['momentum1', sound])).not.toThrow();
    expect(read(['momentum1', sound])).toThrow(/^c: moments, momentum0: tensor "w": found nothing, allowed: float32 \[2\]$/); // prettier-ignore
    expect(read(['momentum0', sound], ['momentum1', float32([1], [1])])).toThrow(/momentum1: tensor "w": found float32 \[1\]/); // prettier-ignore
  });

  it('is refused where a tensor is missing, of another shape, or too many', () => {
    const found = toOrtCheckpoint(specs, { weights, optimizer: null, step: 0 }, sgd);
    const refuse = (trainable: OrtCheckpoint['trainable']) => () =>
      fromOrtCheckpoint({ ...found, trainable }, specs, 'c');
    expect(refuse(new Map())).toThrow(code('ORT_CHECKPOINT_MODULE'));
    expect(refuse(tensors(['w', float32([1], [1])]))).toThrow(/^c: trained parameters: tensor "w": found float32 \[1\], allowed: float32 \[2\]$/); // prettier-ignore
    expect(refuse(new Map([...found.trainable, ['v', float32([1], [1])]]))).toThrow(/tensor "v"/);
  });
});
