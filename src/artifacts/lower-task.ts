/** From the slice of a task to its model. */
import { type GraphSlice, hideBatch, lower, type Lowering } from '../lower/index.js';
import type { OnnxModel } from '../onnx/model.js';

/** ONNX Runtime's planner looks for the buffer of each value among all that are left: with more nodes than these that takes longer than half a second. */
const MAX_HIDDEN_NODES = 5000;

/** The batch is hidden where it leads a shape: in images, labels and the maps that pass from task to task. */
export function lowerTask(slice: GraphSlice, lowering: Lowering): OnnxModel {
  const given = slice.inputs.filter(({ name }) => name === 'image' || name === 'label');
  const passing = [
    ...slice.inputs.filter(({ value }) => value.producer),
    ...slice.outputs.filter(({ internal }) => internal),
  ];
  const maps = passing.filter(({ value }) => value.shape.length > 1);
  const batched = new Set([...given, ...maps].map(({ name }) => name));
  const model = lower(slice, lowering);
  return model.graph.nodes.length > MAX_HIDDEN_NODES ? model : hideBatch(model, batched, lowering.block ?? 1);
}
