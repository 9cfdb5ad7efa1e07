/** ReLU ties between the portable lowering and another on this CPU. */
import type { NamedTensors } from '../../src/files/tensor.js';
import { portable } from '../../src/lower/index.js';
import { chooseLowering } from '../../src/pipeline/index.js';
import { type ReluTies, reluTies } from '../../src/pipeline/relu-ties.js';
import type { Recipe } from '../../src/recipe/index.js';
import { createNativeRuntime } from '../../src/runtime/native/index.js';

/** ReLUs that have ties. @param values what the step reads: `image`, `label`, parameters */
export async function tiesWithPortable(recipe: Recipe, values: NamedTensors, choice = 'auto'): Promise<ReluTies[]> {
  const runtime = await createNativeRuntime({ threads: 2 });
  try {
    const { lowering } = await chooseLowering(choice, runtime);
    const relus = await reluTies(recipe, values, runtime, [portable, lowering]);
    return relus.filter(({ ties }) => ties > 0);
  } finally {
    runtime.dispose();
  }
}
