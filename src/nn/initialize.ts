/** Initial values of parameters, from a seed. */
import { elementCount, float32, type NamedTensors } from '../files/tensor.js';
import { Random } from '../random.js';
import type { Initializer, ParameterSpec } from './parameters.js';

/**
 * Draws every parameter from its own random stream, named by the seed and the parameter, so a value does not depend on which
 * others the model has.
 */
export function initialize(specs: Iterable<ParameterSpec>, seed: number): NamedTensors {
  const tensors: NamedTensors = new Map();
  for (const { name, shape, init } of specs) {
    tensors.set(name, float32(shape, draw(init, elementCount(shape), new Random(seed, 'init', name))));
  }
  return tensors;
}

function draw(init: Initializer, count: number, random: Random): Float32Array {
  const values = new Float32Array(count);
  switch (init.kind) {
    case 'constant':
      return values.fill(init.value);
    case 'normal':
      for (let i = 0; i < count; i++) values[i] = init.std * random.normal();
      return values;
    case 'uniform':
      for (let i = 0; i < count; i++) values[i] = init.bound * (2 * random.uniform() - 1);
      return values;
  }
}
