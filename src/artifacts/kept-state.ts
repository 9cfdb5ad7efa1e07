/** The state that training keeps beside the weights: what it starts as, what of it is worth keeping, and the moving averages in it. */
import { elementCount, float32, type HostTensor, type NamedTensors } from '../files/tensor.js';
import { averagePrefix } from '../nn/index.js';
import type { WeightSpec } from './check-weights.js';
import type { Manifest, StateEntry } from './manifest.js';

/** A state's first value: the parameter's, or zeros. */
export function startOf({ parameter, shape, start }: StateEntry, weights: NamedTensors): HostTensor {
  if (start === 'parameter') return weights.get(parameter)!;
  return float32(shape, new Float32Array(elementCount(shape)));
}

/** Those that a checkpoint has. */
export const keptStates = (states: readonly StateEntry[]): StateEntry[] => states.filter(({ transient }) => !transient);

/** The same as specs, to check given tensors by (`checkWeights`). */
export const stateSpecs = ({ states }: Pick<Manifest, 'states'>): WeightSpec[] =>
  keptStates(states).map(({ name, shape }) => ({ name, shape, kind: 'parameter' }));

/** The weights that a network is evaluated with: moving averages where `states` has them. */
export function averagedWeights(weights: NamedTensors, states: NamedTensors): NamedTensors {
  return new Map([...weights].map(([name, tensor]) => [name, states.get(`${averagePrefix}${name}`) ?? tensor]));
}
