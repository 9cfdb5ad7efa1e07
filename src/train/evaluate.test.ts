import { describe, expect, it } from 'vitest';
import type { Dataset } from '../data/dataset.js';
import type { HostTensor } from '../files/tensor.js';
import { evaluate } from './evaluate.js';
import { evaluationLoader } from './evaluation-loader.js';

/** Images of one pixel: image i holds i, and its class is i mod 3. */
function dataset(count: number): Dataset {
  const pixels = Uint8Array.from({ length: count }, (_, i) => i);
  const labels = pixels.map((i) => i % 3);
  return { name: 'test-set', split: 'test', classes: 3, image: [1, 1, 1], count, pixels, labels };
}

function loader(count: number, batch: number) {
  const config = {
    dataset: 'digits' as const,
    batch,
    normalize: { mean: [0], std: [1 / 255] },
    augment: { resizedCrop: null, crop: { pad: 1, mode: 'zero' as const }, flip: true },
    resize: null,
    columns: null,
    convert: null,
  };
  return evaluationLoader(dataset(count), config, [1, 1, 1]);
}

/** Scores of every image by its number. */
const score = (of: (i: number) => number[]) => async (image: HostTensor<'float32'>) =>
  Float32Array.from([...image.data].flatMap((value) => of(Math.round(value))));

describe('evaluate', () => {
  it('counts the images whose highest score is their class, and averages the cross-entropy', async () => {
    // Image 0 and 1 right, image 2 wrong.
    const scores = [
      [2, 0, 0],
      [0, 1, 0],
      [5, 0, 0],
    ];
    const found = await evaluate(
      score((i) => scores[i]!),
      loader(3, 100),
    );
    const e = Math.exp;
    const losses = [-Math.log(e(2) / (e(2) + 2)), -Math.log(e(1) / (e(1) + 2)), -Math.log(1 / (e(5) + 2))];
    expect(found.images).toBe(3);
    expect(found.accuracy).toBeCloseTo(2 / 3, 12);
    expect(found.loss).toBeCloseTo((losses[0]! + losses[1]! + losses[2]!) / 3, 12);
  });

  it('takes every image once, in order and unchanged, at least 100 at a time', async () => {
    const sizes: number[] = [];
    const seen: number[] = [];
    const right = score((i) => [0, 1, 2].map((k) => (k === i % 3 ? 1 : 0)));
    const found = await evaluate(
      (image) => {
        sizes.push(image.shape[0]!);
        seen.push(...[...image.data].map(Math.round));
        return right(image);
      },
      loader(250, 7),
    );
    expect(sizes).toEqual([100, 100, 50]);
    expect(seen).toEqual(Array.from({ length: 250 }, (_, i) => i));
    expect(found).toMatchObject({ accuracy: 1, images: 250 });
    expect(loader(250, 128).batchesPerEpoch).toBe(2);
  });

  it('stays finite for scores of any size, and shows scores that are none', async () => {
    const large = await evaluate(
      score(() => [3e38, -3e38, 0]),
      loader(1, 100),
    );
    expect(large).toMatchObject({ accuracy: 1, loss: 0 });
    expect(
      (
        await evaluate(
          score(() => [NaN, 0, 0]),
          loader(1, 100),
        )
      ).loss,
    ).toBeNaN();
    expect(
      (
        await evaluate(
          score(() => [Infinity, 0, 0]),
          loader(1, 100),
        )
      ).loss,
    ).toBeNaN();
  });

  it('counts the first of equal scores', async () => {
    expect(
      (
        await evaluate(
          score(() => [1, 1, 1]),
          loader(3, 100),
        )
      ).accuracy,
    ).toBeCloseTo(1 / 3, 12);
  });

  it('refuses scores that do not fit the batch', async () => {
    await expect(evaluate(async () => new Float32Array(7), loader(3, 100))).rejects.toThrow(/7 scores for 3 images/);
    const two = evaluate(
      score(() => [1, 0]),
      loader(3, 100),
    );
    await expect(two).rejects.toMatchObject({ code: 'EVALUATE_SCORES', exitCode: 1 });
  });

  it('ends between two batches when it is asked to', async () => {
    const controller = new AbortController();
    let batches = 0;
    const work = evaluate(
      async (image) => {
        batches++;
        controller.abort();
        return new Float32Array(3 * image.shape[0]!);
      },
      loader(250, 100),
      controller.signal,
    );
    await expect(work).rejects.toMatchObject({ name: 'AbortError' });
    expect(batches).toBe(1);
  });
});
