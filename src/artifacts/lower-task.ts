/** From the slice of a task to its model. */
import { type GraphSlice, hideBatch, lower, type Lowering } from '../lower/index.js';
import type { OnnxModel } from '../onnx/model.js';

/** The batch is hidden where it leads a shape: in images, labels and the maps that pass from task to task. */
export function lowerTask(slice: GraphSlice, lowering: Lowering): OnnxModel {
  const given = slice.inputs.filter(({ name }) => name === 'image' || name === 'label');
  const passing = [
    ...slice.inputs.filter(({ value }) => value.producer),
    ...slice.outputs.filter(({ internal }) => internal),
  ];
  const maps = passing.filter(({ value }) => value.shape.length > 1);
  const batched = new Set([...given, ...maps].map(({ name }) => name));
  return hideBatch(lower(slice, lowering), batched, lowering.block ?? 1);
}
