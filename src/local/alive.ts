/** Bytes of values, from the graph alone: no device is asked. */
import { elementCount } from '../files/tensor.js';
import { type Node, staticShape, type Value } from '../graph/index.js';

/** Graphs hold float32, and integers of little weight. */
export const valueBytes = (value: Value): number => 4 * elementCount(staticShape(value.shape));

/** Operators whose result is their operand under another shape or name. */
const views: ReadonlySet<string> = new Set(['Reshape', 'After']);

/** The most that the results of nodes take at once, run in this order, each freed after its last reader. What they read from elsewhere does not count. */
export function peakBytes(nodes: readonly Node[]): number {
  const sources = new Map<Value, Value>();
  const sourceOf = (value: Value): Value => sources.get(value) ?? value;
  for (const { op, inputs, outputs } of nodes) if (views.has(op)) sources.set(outputs[0]!, sourceOf(inputs[0]!));
  const last = new Map<Value, number>();
  nodes.forEach(({ inputs, outputs }, i) => [...inputs, ...outputs].forEach((value) => last.set(sourceOf(value), i)));
  let [alive, peak] = [0, 0];
  const made = new Set<Value>();
  nodes.forEach(({ inputs, outputs }, i) => {
    for (const value of outputs) {
      if (sources.has(value)) continue;
      made.add(value);
      alive += valueBytes(value);
    }
    peak = Math.max(peak, alive);
    for (const value of new Set([...inputs, ...outputs].map(sourceOf))) {
      if (made.has(value) && last.get(value) === i) alive -= valueBytes(value);
    }
  });
  return peak;
}
