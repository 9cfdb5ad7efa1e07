/** Scores of the trunk in inference mode, by the `eval` graph of a set. */
import type { Batch } from '../data/dataset.js';
import type { DeviceTensor, Runtime } from '../runtime/runtime.js';
import type { LoadedGraph } from './loaded-graphs.js';

/** @param find parameters and statistics @returns float32 [N, classes] */
export async function trunkScores(
  runtime: Runtime,
  graph: LoadedGraph,
  find: (name: string) => DeviceTensor,
  image: Batch['image'],
): Promise<Float32Array> {
  const input = runtime.upload(image);
  try {
    const feeds = new Map(graph.entry.inputs.map(({ name }) => [name, name === 'image' ? input : find(name)]));
    using logits = (await graph.run(feeds, new Map(), ['logits'])).get('logits')!;
    return logits.read().data as Float32Array;
  } finally {
    input.dispose();
  }
}
