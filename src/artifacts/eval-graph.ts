/** The graph that scores images: the trunk in inference mode, its parameters as inputs. */
import { cut, type GraphSlice } from '../lower/index.js';
import { createTrunk, inferenceGraph } from '../networks/index.js';
import type { Recipe } from '../recipe/types.js';
import type { GraphEntry, Meaning } from './manifest.js';

export function evalGraph(recipe: Recipe): { slice: GraphSlice; entry: GraphEntry } {
  const { graph, logits, parameters } = inferenceGraph(createTrunk(recipe.network));
  const slice = cut(
    graph.name,
    [{ name: 'logits', value: logits }],
    () => true,
    (value) => value.toString(),
  );
  const kinds = new Map<string, Meaning>(parameters.map(({ name, kind }) => [name, kind]));
  return {
    slice,
    entry: {
      file: 'eval.onnx',
      module: null,
      phase: 'eval',
      inputs: slice.inputs.map(({ name, value }) => ({
        name,
        dtype: value.dtype,
        shape: value.shape,
        meaning: kinds.get(name) ?? 'image',
      })),
      outputs: [{ name: 'logits', dtype: 'float32', shape: logits.shape, meaning: 'logits' }],
    },
  };
}
