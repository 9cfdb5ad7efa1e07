/** Comparing elements that were computed in two ways. */

/**
 * @throws Error naming the worst element, unless all differ by at most `tolerance` times the largest expected magnitude
 *   (or times 1, if that is larger)
 */
export function expectClose(
  actual: ArrayLike<number | bigint>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${what}: ${actual.length} elements, expected ${expected.length}`);
  }
  let scale = 1;
  let worst = -1;
  let worstError = -1;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]!));
    const error = Math.abs(Number(actual[i]) - expected[i]!);
    // NaN counts as the worst of all.
    if (!(error <= worstError)) [worst, worstError] = [i, error];
    if (Number.isNaN(error)) break;
  }
  if (!(worstError <= tolerance * scale)) {
    throw new Error(`${what}: element ${worst} is ${actual[worst]}, expected ${expected[worst]} (scale ${scale})`);
  }
}

/** Whether two arrays hold the same bytes. */
export const sameBits = (a: NodeJS.ArrayBufferView, b: NodeJS.ArrayBufferView): boolean =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
