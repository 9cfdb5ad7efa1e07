/**
 * Memory for the elements of large tensors, used over and over: what is left to the garbage collector piles up until it runs, and a stage of a pipeline makes
 * some megabytes of it in every step.
 */
export class SpareBuffers {
  private readonly idle = new Map<number, ArrayBuffer[]>();

  /** Memory with unspecified contents, now the caller's. @throws RangeError where there is none */
  take(bytes: number): ArrayBuffer {
    return this.idle.get(bytes)?.pop() ?? new ArrayBuffer(bytes);
  }

  /** Takes over memory that the caller neither reads nor writes any more. */
  give(buffer: ArrayBuffer): void {
    const known = this.idle.get(buffer.byteLength);
    if (known) known.push(buffer);
    else this.idle.set(buffer.byteLength, [buffer]);
  }
}
