/** A trunk as a state dict of PyTorch: under a naming, without heads. */
import { UsageError } from '../errors.js';
import { elementCount, float32, type NamedTensors } from '../files/tensor.js';
import { createTrunk, inferenceGraph } from '../networks/index.js';
import type { Recipe } from '../recipe/types.js';
import { isRunningMean, type NamingName, namingOf, trackedName } from './naming.js';

/**
 * The trunk's parameters and running statistics, in the order of the network. Under `torchvision` also the counts
 * `num_batches_tracked`, int64 [], and where its convolutions have biases zeros for them; under `hpff` no counts, which PyTorch takes as 0.
 *
 * @param weights all of the trunk under our names; others are left out
 * @param batches that the running statistics have seen
 * @throws UsageError where one is missing
 */
export function stateDict(weights: NamedTensors, recipe: Recipe, naming: NamingName, batches: number): NamedTensors {
  const own = trunkNames(recipe);
  const { theirs, absorbedBias } = namingOf(naming, recipe.network, own);
  const tensors: NamedTensors = new Map();
  for (const name of own) {
    const tensor = weights.get(name);
    if (!tensor) throw new UsageError('EXPORT_WEIGHTS', `export needs '${name}'`);
    tensors.set(theirs(name), tensor);
    if (naming === 'hpff' || !isRunningMean(name)) continue;
    const bias = absorbedBias(name);
    if (bias !== null) tensors.set(bias, float32(tensor.shape, new Float32Array(elementCount(tensor.shape))));
    tensors.set(trackedName(theirs(name)), { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(batches)) });
  }
  return tensors;
}

function trunkNames({ network }: Recipe): string[] {
  return inferenceGraph(createTrunk(network)).parameters.map(({ name }) => name);
}
