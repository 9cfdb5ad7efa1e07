/** Heads made of blocks: which blocks, how many, and where they halve the map. */
import { expect, test } from 'vitest';
import { Graph, type Node } from '../../graph/index.js';
import { createTrunk } from '../../networks/index.js';
import { LayerContext, ParameterStore } from '../../nn/index.js';
import { blocksHead, evenlySampled, pyramidDepth } from './blocks.js';

test.each([
  [9, 3, [3, 6, 9]],
  [10, 3, [3, 7, 10]],
  [4, 1, [4]],
  [2, 5, [1, 2]],
  [14, 14, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]],
])('of %i items, %i evenly sampled are %j', (count, depth, expected) => {
  const items = Array.from({ length: count }, (_, i) => i + 1);
  expect(evenlySampled(items, depth)).toEqual(expected);
});

test.each([
  [{ depth: 5, coefficient: 0.5 }, [5, 4.5, 4, 3.5, 3]],
  [{ depth: 5, coefficient: 1 }, [5, 4, 3, 2, 1]],
  [{ depth: 5, coefficient: 0 }, [5, 5, 5, 5, 5]],
  [{ depth: 1, coefficient: 1 }, [1, 1, 1, 1, 1]],
])('depths of %j', (config, expected) => {
  expect([0, 0.25, 0.5, 0.75, 1].map((position) => pyramidDepth(config, position))).toEqual(expected.map(Math.round));
});

test('a head follows the widths and the halvings of the blocks, one halving a block', () => {
  const network = { type: 'cifar-resnet', depth: 14, widths: [4, 4, 6, 8], classes: 5, image: [3, 16, 16] } as const;
  const { blocks } = createTrunk(network);
  const graph = new Graph('head');
  const features = graph.input('features', 'float32', [2, 4, 16, 16]);
  const label = graph.input('label', 'int64', [2]);
  const store = new ParameterStore(graph);
  const context = new LayerContext(store, { training: true, statistics: null }, 'head');
  // The first followed block lies two halvings down, the second no further.
  const head = blocksHead([blocks[4]!, blocks[5]!], 1, network.classes, label);
  expect(head.build(context, features, 1).shape).toEqual([2, 5]);
  const strides = graph.nodes.flatMap((node) =>
    node.op === 'Conv' && node.scope.endsWith('conv1') ? [(node as Node<'Conv'>).attributes.strides[0]] : [],
  );
  expect(strides).toEqual([2, 2]);
  expect(store.specs.get('head.block1.conv1.weight')!.shape).toEqual([8, 4, 3, 3]);
  expect(store.specs.get('head.block2.conv1.weight')!.shape).toEqual([8, 8, 3, 3]);
  expect(store.specs.get('head.block2.downsample.conv.weight')!.shape).toEqual([8, 8, 1, 1]);
  expect(store.specs.get('head.fc1.weight')!.shape).toEqual([5, 8]);
});
