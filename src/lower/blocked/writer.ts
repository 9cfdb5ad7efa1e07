/**
 * Writes a slice so that maps stay in the blocked layout from one operator to the next: each value is held in the forms in which it has been made or
 * asked for, and a reorder is emitted only where a form is asked for that is not there.
 *
 * Results that the next operator can absorb are held back: a normalisation waits for the residual sum and the ReLU that read it, an input
 * gradient for the sum it is added to, a convolution for the mean that a normalisation takes from it. They are written at their first other use.
 */
import type { Node, OpName, Value } from '../../graph/index.js';
import type { Emitter } from '../emitter.js';
import { type LoweringRule, type SliceWriter, ValueNames } from '../lower.js';
import { portableRules } from '../portable/index.js';
import type { GraphSlice, NamedValue } from '../slice.js';
import { BlockedEmitter, mapShape, type MapShape } from './layout.js';
import { blockedRules } from './rules.js';

/** What a reader adds to a result that was held back for it. */
export interface Absorbed {
  /** Name of an addend of the same shape. */
  readonly sum?: string;
  readonly relu?: boolean;
  /** Name of a map of zeros and ones to multiply by. */
  readonly mask?: string;
  /** Name of what is added to each stored channel. */
  readonly shift?: string;
}

/** A result that is held back: it writes itself together with what it can absorb. */
export interface Deferred {
  readonly absorbs: readonly (keyof Absorbed)[];
  write(extra: Absorbed): string;
  /** Writes the mean of each stored channel, without the result. Those that absorb a shift have it. */
  mean?(): string;
}

/** Operators that a result can absorb, and as what. */
const absorbable: { readonly [O in OpName]?: keyof Absorbed } = {
  Add: 'sum',
  Relu: 'relu',
  ReluGrad: 'mask',
  BatchNormTrain: 'shift',
};

export class BlockedWriter implements SliceWriter {
  readonly blocked: BlockedEmitter;
  private readonly plainNames: ValueNames;
  private readonly blockedNames = new Map<Value, string>();
  private readonly otherForms = new Map<Value, Map<string, string>>();
  private readonly deferred = new Map<Value, Deferred>();
  private readonly deferredPlain = new Map<Value, (extra: Absorbed) => string>();
  private readonly readers = new Map<Value, Node[]>();
  private readonly leaving: ReadonlySet<Value>;

  constructor(
    readonly emit: Emitter,
    slice: GraphSlice,
    block: number,
  ) {
    this.blocked = new BlockedEmitter(emit, block);
    this.plainNames = new ValueNames(emit, slice);
    this.leaving = new Set(slice.outputs.map(({ value }) => value));
    for (const node of slice.nodes) {
      for (const input of node.inputs) {
        const known = this.readers.get(input);
        if (known) known.push(node);
        else this.readers.set(input, [node]);
      }
    }
    for (const { name, value } of slice.inputs) {
      if (!value.producer || !this.passesBlocked(value)) continue;
      this.blockedNames.set(value, name);
      this.plainNames.delete(value);
    }
  }

  write(node: Node): void {
    const rule = blockedRules[node.op] as ((writer: BlockedWriter, node: Node) => boolean) | undefined;
    if (rule?.(this, node)) return;
    const portable = portableRules[node.op] as LoweringRule<OpName>;
    const outputs = portable(
      this.emit,
      node,
      node.inputs.map((input) => this.plain(input)),
    );
    node.outputs.forEach((output, i) => this.plainNames.set(output, outputs[i]!));
  }

  outputName({ value, internal }: NamedValue): string {
    return internal && this.passesBlocked(value) ? this.asBlocked(value) : this.plain(value);
  }

  /** Whether the value is at hand in the blocked layout (or held back in it). */
  isBlocked(value: Value): boolean {
    return this.blockedNames.has(value) || this.deferred.has(value);
  }

  /** Name of the value in its plain layout. */
  plain(value: Value): string {
    const held = this.takeDeferredPlain(value);
    if (held) this.plainNames.set(value, held({}));
    if (!this.plainNames.has(value) && this.isBlocked(value)) {
      this.plainNames.set(value, this.blocked.toPlain(this.asBlocked(value), mapShape(value)!));
    }
    return this.plainNames.of(value);
  }

  /** Name of a map in the blocked layout. */
  asBlocked(value: Value): string {
    let name = this.blockedNames.get(value);
    if (name === undefined) {
      name = this.takeDeferred(value)?.write({}) ?? this.blocked.toBlocked(this.plain(value), mapShape(value)!);
      this.blockedNames.set(value, name);
    }
    return name;
  }

  setPlain(value: Value, name: string): void {
    this.plainNames.set(value, name);
  }

  setBlocked(value: Value, name: string): void {
    this.blockedNames.set(value, name);
  }

  /** Holds a result back, if its only reader is of a kind that can absorb it; writes it at once otherwise. */
  defer(value: Value, result: Deferred): void {
    const kind = this.absorbedInto(value);
    if (kind && result.absorbs.includes(kind)) {
      this.deferred.set(value, {
        ...result,
        write: this.emit.later((extra) => result.write(extra)),
        ...(result.mean ? { mean: this.emit.later(() => result.mean!()) } : {}),
      });
    } else {
      this.setBlocked(value, result.write({}));
    }
  }

  /** The same for a result in the plain layout, which absorbs a ReLU. */
  deferPlain(value: Value, write: (extra: Absorbed) => string): void {
    if (this.absorbedInto(value) === 'relu') this.deferredPlain.set(value, this.emit.later(write));
    else this.setPlain(value, write({}));
  }

  takeDeferredPlain(value: Value): ((extra: Absorbed) => string) | undefined {
    const write = this.deferredPlain.get(value);
    this.deferredPlain.delete(value);
    return write;
  }

  /** What the only reader of a value could be absorbed as; undefined where there are more, or where the value leaves the slice. */
  private absorbedInto(value: Value): keyof Absorbed | undefined {
    const [reader, ...others] = this.readers.get(value) ?? [];
    return reader && others.length === 0 && !this.leaving.has(value) ? absorbable[reader.op] : undefined;
  }

  /** What is held back under a value, given up to the caller; undefined where it has been written. */
  takeDeferred(value: Value): Deferred | undefined {
    const result = this.deferred.get(value);
    this.deferred.delete(value);
    return result;
  }

  /** What `make` writes for a value in some form, written once for all who ask for that form. */
  once(value: Value, form: string, make: () => string): string {
    const forms = this.otherForms.get(value) ?? new Map<string, string>();
    this.otherForms.set(value, forms);
    const name = forms.get(form) ?? make();
    forms.set(form, name);
    return name;
  }

  /** Whether a value keeps the blocked layout between slices: maps whose channels fill their blocks. */
  private passesBlocked(value: Value): boolean {
    const shape: MapShape | null = mapShape(value);
    return shape !== null && shape.channels % this.blocked.block === 0;
  }
}
