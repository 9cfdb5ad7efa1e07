/** Convolutions and maximum pooling with the blocked kernels: values and gradients, against the reference in float64. */
import { beforeAll, describe, expect, test } from 'vitest';
import { chosenLowering, compareWithReference } from '../../../test/support/compare-with-reference.js';
import { conv, type ConvOptions, Graph, maxPool, type Value } from '../../graph/index.js';
import type { Lowering } from '../index.js';

let lowering: Lowering;
beforeAll(async () => {
  lowering = await chosenLowering();
});

/** Compares, and tells the operators that were written portably though there are blocked kernels for them. */
async function compare(graph: Graph, y: Value): Promise<{ portable: string[] }> {
  const nodes = await compareWithReference(lowering, graph, [y]);
  const plain = nodes.filter(
    ({ opType, domain }) => domain === '' && ['Conv', 'ConvTranspose', 'MaxPool'].includes(opType),
  );
  return { portable: plain.map(({ opType }) => opType) };
}

/** A convolution between two that make its surroundings blocked. */
function sandwich(
  batch: number,
  channels: number,
  size: readonly [number, number],
  out: number,
  kernel: number,
  options: ConvOptions,
): { graph: Graph; y: Value } {
  const graph = new Graph('sandwich');
  const image = graph.input('image', 'float32', [batch, 3, ...size]);
  const before = conv(image, graph.input('before', 'float32', [channels, 3, 1, 1]));
  const filter = graph.input('filter', 'float32', [out, channels / (options.groups ?? 1), kernel, kernel]);
  const middle = conv(before, filter, options);
  return { graph, y: conv(middle, graph.input('after', 'float32', [16, out, 1, 1])) };
}

describe('grouped convolutions', () => {
  test.each([
    ['groups as wide as a block of 8', 32, 32, 4, 1],
    ['groups of two blocks', 32, 32, 2, 1],
    ['groups of half a block', 32, 32, 8, 1],
    ['groups of a quarter of a block', 32, 32, 16, 1],
    ['more outputs than inputs', 16, 32, 4, 1],
    ['stride 2', 32, 32, 4, 2],
    ['stride 2, groups of half a block', 32, 64, 8, 2],
  ])('%s', async (_name, channels, out, groups, stride) => {
    const { graph, y } = sandwich(8, channels, [4, 6], out, 3, { groups, stride, padding: 1 });
    const { portable } = await compare(graph, y);
    if (lowering.block === 8) expect(portable).toEqual([]);
  });

  test('several groups of images', async () => {
    const { graph, y } = sandwich(32, 32, [4, 4], 32, 3, { groups: 8, padding: 1 });
    const { portable } = await compare(graph, y);
    if (lowering.block) expect(portable).toEqual([]);
  });

  test('1×1 with a bias, in groups', async () => {
    const { graph, y } = sandwich(16, 32, [4, 4], 64, 1, { groups: 2 });
    await compare(graph, y);
  });

  test.each([
    ['groups that fill no block', 12, 12, 3, 1, 8, [6, 6]],
    ['a batch that fills no block', 32, 32, 4, 1, 3, [6, 6]],
    ['odd maps', 32, 32, 4, 2, 8, [7, 5]],
  ] as const)('%s are written portably', async (_name, channels, out, groups, stride, batch, size) => {
    const { graph, y } = sandwich(batch, channels, size, out, 3, { groups, stride, padding: 1 });
    const { portable } = await compare(graph, y);
    expect(portable.length).toBeGreaterThan(0);
  });
});

describe('filter gradients', () => {
  test.each([
    ['one block of channels', 16, 16, 1, 1],
    ['more outputs', 16, 48, 1, 1],
    ['outputs that fill no block', 16, 12, 1, 1],
    ['two blocks', 32, 32, 1, 1],
    ['many blocks', 48, 32, 1, 1],
    ['stride 2', 16, 32, 2, 1],
    ['many blocks, stride 2', 48, 16, 2, 1],
    ['groups of few blocks', 64, 64, 1, 2],
    ['groups of many blocks', 96, 32, 1, 2],
  ])('%s', async (_name, channels, out, stride, groups) => {
    const { graph, y } = sandwich(32, channels, [2, 4], out, 3, { stride, padding: 1, groups });
    const { portable } = await compare(graph, y);
    if (lowering.block) expect(portable).toEqual([]);
  });
});

describe('the layers of an ImageNet network', () => {
  test('stem: 7×7 with stride 2, max pool 3×3 with stride 2', async () => {
    const graph = new Graph('stem');
    const image = graph.input('image', 'float32', [8, 3, 12, 16]);
    const y = conv(image, graph.input('filter', 'float32', [16, 3, 7, 7]), { stride: 2, padding: 3 });
    const pooled = maxPool(y, { kernel: 3, stride: 2, padding: 1 });
    await compare(graph, conv(pooled, graph.input('after', 'float32', [8, 16, 1, 1])));
  });

  test('max pool 2×2, of odd maps too', async () => {
    for (const size of [
      [8, 6],
      [7, 5],
    ] as const) {
      const graph = new Graph('pool');
      const image = graph.input('image', 'float32', [8, 3, ...size]);
      const y = conv(image, graph.input('filter', 'float32', [12, 3, 3, 3]), { padding: 1 });
      await compare(graph, maxPool(y, { kernel: 2, stride: 2 }));
    }
  });

  test('1×1 with stride 2', async () => {
    const { graph, y } = sandwich(8, 16, [8, 6], 32, 1, { stride: 2 });
    const { portable } = await compare(graph, y);
    if (lowering.block) expect(portable).toEqual([]);
  });
});
