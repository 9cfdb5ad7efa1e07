/** Running statistics for weights that come without: mean 0, variance 1. */
import type { Manifest } from '../../src/artifacts/index.js';
import { elementCount, float32, type NamedTensors } from '../../src/files/tensor.js';

export function withStatistics(manifest: Manifest, weights: NamedTensors): NamedTensors {
  const all: NamedTensors = new Map(weights);
  for (const { name, shape, kind } of manifest.parameters) {
    if (kind === 'parameter') continue;
    const start = name.endsWith('running_var') ? 1 : 0;
    all.set(name, float32(shape, new Float32Array(elementCount(shape)).fill(start)));
  }
  return all;
}
