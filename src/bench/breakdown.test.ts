/** Summing up a step's nodes. */
import { expect, test } from 'vitest';
import { breakdowns } from './breakdown.js';
import { type NodeCost, placeOf } from './costs.js';

const node = (name: string, seconds: number): NodeCost => ({
  node: name,
  operator: name.replace(/.*\/|_\d+$/g, ''),
  outputs: [],
  seconds,
  ...placeOf(name, { file: 'step.onnx', module: null, phase: 'step' }),
});

const nodes = [
  node('10/forward/layer3.0/conv1/nchwc.Conv', 8),
  node('2/forward/layer1.1/conv1/nchwc.Conv', 4),
  node('2/heads/heads.2.cascade.decoder.0/patch0/conv2/MatMul', 16),
  node('2/heads/optimizer/heads.2.cascade.decoder.0.conv2.weight/Mul', 1),
  node('2/heads/heads.2.independent.classifier/fc1/MatMul', 64),
  node('2/heads/Concat', 32),
  node('2/update/layer1.1/conv1/nchwc.Conv_1', 128),
  node('2/update/layer1.1/bn1/Mul', 256),
  node('2/update/layer1.1/Mul', 512),
  node('2/update/optimizer/layer1.1.conv1.weight/Mul_1', 2),
];

const rowsBy = (by: string) => {
  const { columns, rows } = breakdowns(nodes).find((breakdown) => breakdown.by === by)!;
  for (const row of rows) expect(columns).toEqual(expect.arrayContaining(Object.keys(row.columns)));
  return rows.map((row) => [row.name, row.seconds, row.nodes, row.columns]);
};

test('by phase, the optimizer apart', () => {
  expect(rowsBy('phase')).toEqual([
    ['forward', 12, 2, {}],
    ['heads', 112, 3, {}],
    ['update', 896, 3, {}],
    ['heads, optimizer', 1, 1, {}],
    ['update, optimizer', 2, 1, {}],
  ]);
});

test('by module, in the order of their numbers', () => {
  expect(rowsBy('module')).toEqual([
    ['2', 1015, 9, { forward: 4, heads: 112, update: 896, optimizer: 3 }],
    ['10', 8, 1, { forward: 8 }],
  ]);
});

test('by part and kind of layer', () => {
  expect(rowsBy('part')).toEqual([
    ['trunk', 908, 5, { conv: 140, bn: 256, other: 512 }],
    ['heads.classifier', 64, 1, { fc: 64 }],
    ['heads.decoder', 16, 1, { conv: 16 }],
    ['heads.other', 32, 1, { other: 32 }],
    ['optimizer', 3, 2, {}],
  ]);
});

test('by operator and by layer, the largest first', () => {
  expect(rowsBy('operator').map(([name, seconds, count]) => [name, seconds, count])).toEqual([
    ['Mul', 771, 4],
    ['nchwc.Conv', 140, 3],
    ['MatMul', 80, 2],
    ['Concat', 32, 1],
  ]);
  const layers = rowsBy('layer');
  expect(layers.slice(0, 3)).toEqual([
    ['layer1.1', 512, 1, { update: 512 }],
    ['layer1.1.bn1', 256, 1, { update: 256 }],
    ['layer1.1.conv1', 132, 2, { forward: 4, update: 128 }],
  ]);
  expect(layers.map(([name]) => name)).toContain('(heads.other)');
});

test('every breakdown holds the whole step', () => {
  for (const { rows } of breakdowns(nodes)) expect(rows.reduce((sum, { seconds }) => sum + seconds, 0)).toBe(1023);
});
