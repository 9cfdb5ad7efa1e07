/** Collects ONNX nodes and constants while a slice is lowered, and names them. */
import { UsageError } from '../errors.js';
import type { OnnxAttribute, OnnxNode, OnnxTensor } from '../onnx/model.js';
import { bytesText } from './bytes-text.js';

/** Attributes as plain JavaScript: integers become `int`, arrays `ints`, strings `string`; floats are marked with `f`. */
export type AttributeValue = number | string | readonly number[] | { readonly f: number };

/** Marks a number as a float attribute. */
export const f = (value: number): { readonly f: number } => ({ f: value });

/** A map that is still to be multiplied by a number for each channel. */
export interface Unscaled {
  readonly name: string;
  /** [C], as the map's layout stores channels. */
  readonly scale: string;
}

export class Emitter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers = new Map<string, OnnxTensor>();
  private readonly taken = new Set<string>();
  /** Of a wanted name the last number that was put behind it. */
  private readonly copies = new Map<string, number>();
  private readonly constants = new Map<string, string>();
  private readonly unscaled = new Map<string, Unscaled>();
  private scope = '';

  /** Nodes emitted from here on are named after `scope`. */
  enter(scope: string): void {
    this.scope = scope;
  }

  /** `emit`, to be called later, whose nodes are named after the scope of now. */
  later<A extends readonly unknown[], R>(emit: (...args: A) => R): (...args: A) => R {
    const { scope } = this;
    return (...args) => {
      const current = this.scope;
      this.scope = scope;
      try {
        return emit(...args);
      } finally {
        this.scope = current;
      }
    };
  }

  /** Reserves a name that lowered values must not take. */
  reserve(name: string): void {
    this.taken.add(name);
  }

  /** Emits a node with one output and returns its name. */
  op(opType: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}, domain = ''): string {
    return this.multi(opType, inputs, 1, attributes, domain)[0]!;
  }

  /** Emits a node with several outputs. */
  multi(
    opType: string,
    inputs: readonly string[],
    outputCount: number,
    attributes: Record<string, AttributeValue> = {},
    domain = '',
  ): string[] {
    const operator = domain === '' ? opType : `${domain.split('.').at(-1)}.${opType}`;
    const name = this.unique(this.scope ? `${this.scope}/${operator}` : operator);
    const outputs = Array.from({ length: outputCount }, (_, i) => this.unique(i === 0 ? `${name}:0` : `${name}:${i}`));
    this.nodes.push({ name, domain, opType, inputs, outputs, attributes: toAttributes(attributes) });
    return outputs;
  }

  /** Notes what `name` is a multiple of. Who is linear in it, as a convolution's gradients are, can read that and multiply its filter, which is smaller. */
  noteUnscaled(name: string, unscaled: Unscaled): void {
    this.unscaled.set(name, unscaled);
  }

  /** What was noted. Where all readers take that, the multiplication is not needed, and dropped. */
  unscaledOf(name: string): Unscaled | undefined {
    return this.unscaled.get(name);
  }

  /** A float32 initializer; equal ones are shared. */
  floats(data: ArrayLike<number>, shape: readonly number[] = [data.length]): string {
    return this.initializer('float32', Float32Array.from(data), shape);
  }

  /** An int64 initializer; equal ones are shared. */
  ints(data: readonly number[], shape: readonly number[] = [data.length]): string {
    return this.initializer('int64', BigInt64Array.from(data, BigInt), shape);
  }

  initializer(dtype: 'float32' | 'int64', data: Float32Array | BigInt64Array, shape: readonly number[]): string {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${dtype}[${shape.join()}]${bytesText(bytes)}`;
    let name = this.constants.get(key);
    if (!name) {
      name = this.unique(`const/${dtype}_${this.constants.size}`);
      this.constants.set(key, name);
      this.initializers.set(name, { name, dtype, shape, bytes });
    }
    return name;
  }

  private unique(wanted: string): string {
    let name = wanted;
    let copies = this.copies.get(wanted) ?? 0;
    for (; this.taken.has(name); copies++) name = `${wanted}_${copies + 1}`;
    this.copies.set(wanted, copies);
    this.taken.add(name);
    return name;
  }
}

function toAttributes(attributes: Record<string, AttributeValue>): Record<string, OnnxAttribute> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]): [string, OnnxAttribute] => {
      if (typeof value === 'number') return [name, { type: 'int', value }];
      if (typeof value === 'string') return [name, { type: 'string', value }];
      if ('f' in value) return [name, { type: 'float', value: value.f }];
      // ONNX's checker cannot tell an empty list from a missing one and refuses it.
      if (value.length === 0) throw new UsageError('LOWER_EMPTY_ATTRIBUTE', `attribute ${name} is an empty list`);
      return [name, { type: 'ints', value }];
    }),
  );
}
