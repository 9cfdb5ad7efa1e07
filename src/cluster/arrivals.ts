/** What a reader of an edge does with each part that comes: parts become values, each of them once. */
import type { SpareBuffers } from '../files/spare-buffers.js';
import { TensorAssembly, type TensorPart, type TensorValue } from './tensor-message.js';

/** A delivered message: publishing an acknowledgement to `ack` deletes it from the stream. */
export interface Delivery {
  /** Its place in the stream. */
  readonly sequence: number;
  readonly ack: string;
}

/** Values done are known to have been seen; more than a stream holds, so none of it can come unnoticed. */
const REMEMBERED = 16_384;

export class Arrivals {
  private readonly assembling = new Map<string, { assembly: TensorAssembly; deliveries: Delivery[] }>();
  /** Given out, but not done: the latest delivery of each part. */
  private readonly held = new Map<string, Delivery[]>();
  private readonly done = new Set<string>();

  /** @param fromStep values of earlier steps are not wanted @param buffers memory for values */
  constructor(
    private readonly generation: number,
    private readonly fromStep: number,
    private readonly buffers: SpareBuffers,
  ) {}

  /**
   * @returns the value, when this part completes it; `unwanted` when the message is to be acknowledged at once (another
   * generation's, an earlier step's, of a value that is done, or a copy); null when it is to be kept
   * @throws RunError `CLUSTER_MESSAGE_INVALID` for a part that contradicts those before it
   */
  accept(part: TensorPart, delivery: Delivery, where: string): TensorValue | 'unwanted' | null {
    const key = keyOf(part);
    if (part.generation !== this.generation || part.step < this.fromStep || this.done.has(key)) return 'unwanted';
    const known = this.held.get(key) ?? this.assembling.get(key)?.deliveries;
    const before = known?.[part.part];
    if (before !== undefined) {
      if (before.sequence !== delivery.sequence) return 'unwanted'; // the server had forgotten its id, and stored it twice
      known![part.part] = delivery;
      return null;
    }
    const entry = this.assembling.get(key) ?? {
      assembly: new TensorAssembly(part, where, this.buffers),
      deliveries: [],
    };
    this.assembling.set(key, entry);
    entry.assembly.add(part, where);
    entry.deliveries[part.part] = delivery;
    if (!entry.assembly.isComplete) return null;
    this.assembling.delete(key);
    this.held.set(key, entry.deliveries);
    return { step: part.step, name: part.name, tensor: entry.assembly.tensor() };
  }

  /** The value is no longer needed. @returns what to acknowledge; nothing the second time */
  finish(value: TensorValue): readonly Delivery[] {
    const key = keyOf(value);
    const deliveries = this.held.get(key);
    if (deliveries === undefined) return [];
    this.held.delete(key);
    this.done.add(key);
    if (this.done.size > REMEMBERED) this.done.delete(this.done.values().next().value!);
    return deliveries;
  }
}

function keyOf({ step, name }: { readonly step: number; readonly name: string }): string {
  return `${step}.${name}`;
}
