/** The trunk in inference mode, for batches of any size. */
import { Graph, type Value } from '../graph/index.js';
import { LayerContext, type ParameterSpec, ParameterStore } from '../nn/index.js';
import { partsOf, type Trunk } from './trunk.js';

export interface InferenceGraph {
  readonly graph: Graph;
  /** float32 [N, C, H, W], N known only when it runs. */
  readonly image: Value;
  /** float32 [N, classes] */
  readonly logits: Value;
  /** Parameters and running statistics, each an input of the graph. */
  readonly parameters: readonly ParameterSpec[];
}

export function inferenceGraph(trunk: Trunk): InferenceGraph {
  const graph = new Graph('eval');
  const store = new ParameterStore(graph);
  const context = new LayerContext(store, { training: false, statistics: null });
  const image = graph.input('image', 'float32', ['N', ...trunk.image]);
  const logits = partsOf(trunk).reduce<Value>((x, part) => part.build(context, x), image);
  return { graph, image, logits, parameters: [...store.specs.values()] };
}
