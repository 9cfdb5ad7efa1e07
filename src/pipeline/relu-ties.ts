/**
 * ReLUs whose input lies within rounding of zero, so that one lowering lets it pass and another does not. Such ties, not rounding itself, are what moves
 * a gradient by more than 1e-4 from one lowering to another.
 */
import type { NamedTensors } from '../files/tensor.js';
import { buildStep } from '../local/index.js';
import { cut, type GraphSlice, lower, type Lowering } from '../lower/index.js';
import { encodeModel } from '../onnx/encode.js';
import type { Recipe } from '../recipe/index.js';
import type { Runtime } from '../runtime/runtime.js';

export interface ReluTies {
  /** Section, layer and node, as in `1/forward/layer2.1#419`. */
  readonly name: string;
  /** How many of its units are zero in one lowering only, */
  readonly ties: number;
  readonly units: number;
  /** and how far above zero the highest of them is in the other. */
  readonly highest: number;
}

/**
 * Runs the forward part of a step in both lowerings.
 * @param values what the step reads: `image`, `label`, parameters
 * @returns every ReLU of the step
 */
export async function reluTies(
  recipe: Recipe,
  values: NamedTensors,
  runtime: Runtime,
  lowerings: readonly [Lowering, Lowering],
): Promise<ReluTies[]> {
  const slice = reluSlice(recipe);
  const [one, other] = [
    await activations(slice, values, runtime, lowerings[0]),
    await activations(slice, values, runtime, lowerings[1]),
  ];
  return [...one].map(([name, a]) => {
    const b = other.get(name)!;
    const tied = [...a.keys()].filter((i) => a[i]! > 0 !== b[i]! > 0);
    const highest = tied.reduce((most, i) => Math.max(most, a[i]!, b[i]!), 0);
    return { name, ties: tied.length, units: a.length, highest };
  });
}

/** The part of the step that makes all ReLUs. */
function reluSlice(recipe: Recipe): GraphSlice {
  const { graph } = buildStep(recipe, recipe.data.batch);
  const outputs = graph.nodes
    .filter(({ op }) => op === 'Relu')
    .map(({ section, scope, id, outputs: [value] }) => ({ name: `${section}/${scope}#${id}`, value: value! }));
  return cut('relus', outputs, () => true, String);
}

async function activations(
  slice: GraphSlice,
  values: NamedTensors,
  runtime: Runtime,
  lowering: Lowering,
): Promise<Map<string, Float32Array>> {
  const session = await runtime.createSession(encodeModel(lower(slice, lowering)), { name: lowering.name });
  const feeds = new Map(slice.inputs.map(({ name }) => [name, runtime.upload(values.get(name)!)]));
  const outputs = await session.run(feeds);
  const read = new Map([...outputs].map(([name, tensor]) => [name, tensor.read().data as Float32Array]));
  for (const tensor of [...feeds.values(), ...outputs.values()]) tensor.dispose();
  session.dispose();
  return read;
}
