/** How far the gradients of one way to run a step are from those of another. */

/**
 * The tensor with the largest ‖g - g'‖ / (‖g‖ + ‖all g‖ / 1000), and that figure. What is not a number is the worst.
 *
 * @param {ReadonlyMap<string, { data: Float32Array }>} expected
 * @param {ReadonlyMap<string, { data: Float32Array }>} found tensors of the same names and sizes
 * @returns {[name: string, difference: number]}
 */
export function worstDifference(expected, found) {
  const least = Math.hypot(...[...expected.values()].map(({ data }) => norm(data))) / 1000;
  return [...expected]
    .map(([name, { data }]) => {
      const other = found.get(name).data;
      return [name, norm(data.map((value, i) => value - other[i])) / (norm(data) + least)];
    })
    .reduce((worst, next) => (isWorse(next[1], worst[1]) ? next : worst));
}

const norm = (data) => Math.sqrt(data.reduce((sum, value) => sum + value * value, 0));

const isWorse = (a, b) => !Number.isNaN(b) && (Number.isNaN(a) || a > b);
