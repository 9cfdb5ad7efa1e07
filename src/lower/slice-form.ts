/**
 * What slices have in common that differ only in names and numbers, as the tasks of a network do whose blocks repeat. A lowering goes by operators,
 * attributes, types and edges, so it writes slices of one form alike, and one model can serve them all.
 */
import { UsageError } from '../errors.js';
import type { Node, Value } from '../graph/index.js';
import { bytesText } from './bytes-text.js';
import type { GraphSlice, NamedValue } from './slice.js';

export interface SliceForm {
  /** The same for slices of one form, and only for them. */
  readonly key: string;
  /** The slice's inputs in the order of their first use, which is the same in all slices of the form. */
  readonly inputs: readonly NamedValue[];
  /** Constants float32 [] in the order of their first use. The form leaves open what they are. */
  readonly numbers: readonly ConstantNumber[];
}

export interface ConstantNumber {
  readonly value: Value;
  readonly number: number;
}

export function formOf(slice: GraphSlice): SliceForm {
  const form = new FormWriter(slice);
  for (const node of slice.nodes) form.node(node);
  for (const output of slice.outputs) form.output(output);
  return form;
}

class FormWriter implements SliceForm {
  readonly inputs: NamedValue[] = [];
  readonly numbers: ConstantNumber[] = [];
  private readonly entering: ReadonlyMap<Value, NamedValue>;
  private readonly indices = new Map<Value, number>();
  private text = '';

  constructor(private readonly slice: GraphSlice) {
    this.entering = new Map(slice.inputs.map((input) => [input.value, input]));
  }

  get key(): string {
    return this.text;
  }

  node({ op, attributes, inputs, outputs }: Node): void {
    const read = inputs.map((input) => this.use(input));
    this.text += `${op}(${read.join()})${attributesText(attributes)}\n`;
    for (const output of outputs) this.indices.set(output, this.indices.size);
  }

  output({ value, internal }: NamedValue): void {
    this.text += `${internal ? 'internal ' : 'output '}${this.use(value)}\n`;
  }

  /** Number of a value, which is described at its first use. */
  private use(value: Value): number {
    const known = this.indices.get(value);
    if (known !== undefined) return known;
    this.text += `${this.describe(value)}\n`;
    const index = this.indices.size;
    this.indices.set(value, index);
    return index;
  }

  private describe(value: Value): string {
    const { source } = value;
    const type = `${value.dtype}[${value.shape.join()}]`;
    const input = this.entering.get(value);
    if (input) {
      this.inputs.push(input);
      return `${source.kind === 'input' ? 'input' : 'crossing'} ${type}`;
    }
    if (source.kind !== 'constant') {
      throw new UsageError('SLICE_INCOMPLETE', `slice ${this.slice.name} does not hold ${value.toString()}`);
    }
    const { dtype, shape, data } = source.tensor;
    if (dtype === 'float32' && shape.length === 0) {
      this.numbers.push({ value, number: Number(data[0]) });
      return 'number';
    }
    return `constant ${type} ${JSON.stringify(bytesText(data))}`;
  }
}

/** JSON, which by itself would write infinities and NaN alike, as null. */
function attributesText(attributes: object): string {
  const text = JSON.stringify(attributes);
  if (!text.includes('null')) return text;
  return JSON.stringify(attributes, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}
