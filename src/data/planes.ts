/** Images that are stored column by column. */

/**
 * Turns square planes from column-major to row-major, in place.
 * @param pixels planes of side × side bytes, one after another
 */
export function transposePlanes(pixels: Uint8Array, side: number): void {
  for (let start = 0; start < pixels.length; start += side * side) {
    for (let row = 0; row < side; row++) {
      for (let column = row + 1; column < side; column++) {
        const upper = start + row * side + column;
        const lower = start + column * side + row;
        const kept = pixels[upper] as number;
        pixels[upper] = pixels[lower] as number;
        pixels[lower] = kept;
      }
    }
  }
}
