/** Placing nodes, and summing up profiles. */
import { describe, expect, it } from 'vitest';
import { RunError } from '../errors.js';
import type { TaskProfile } from '../pipeline/index.js';
import type { RunProfile } from '../runtime/runtime.js';
import { placeOf, stepCosts } from './costs.js';

const task = (module: number | null, phase: TaskProfile['task']['phase']): TaskProfile['task'] => ({
  file: module === null ? 'step.onnx' : `modules/${module}/${phase}.onnx`,
  module,
  phase,
  inputs: [],
  outputs: [],
});

const fused = task(null, 'step');

describe('placeOf', () => {
  it.each([
    ['2/forward/layer1.0/conv1/nchwc.Conv_3', 2, 'forward', 'trunk', 'layer1.0.conv1'],
    ['2/update/layer1.0/Mul', 2, 'update', 'trunk', 'layer1.0'],
    ['14/update/output/Identity', 14, 'update', 'trunk', ''],
    ['3/relay/Add', 3, 'relay', 'trunk', ''],
    ['3/heads/Concat_1', 3, 'heads', 'heads.other', ''],
    [
      '3/heads/heads.3.independent.classifier/fc1/Gemm',
      3,
      'heads',
      'heads.classifier',
      'heads.3.independent.classifier.fc1',
    ],
    [
      '1/heads/heads.1.cascade.similarity/conv1/nchwc.Conv',
      1,
      'heads',
      'heads.similarity',
      'heads.1.cascade.similarity.conv1',
    ],
    // A gradient, within a scope that is its node's too.
    [
      '3/heads/heads.3.cascade.decoder.1/patch1/heads.3.cascade.decoder.1/patch1/conv2/MatMul_12',
      3,
      'heads',
      'heads.decoder',
      'heads.3.cascade.decoder.1.conv2',
    ],
    [
      '3/heads/optimizer/heads.3.cascade.decoder.1.conv1.bias/Mul',
      3,
      'heads',
      'optimizer',
      'heads.3.cascade.decoder.1.conv1.bias',
    ],
    ['0/update/optimizer/stem.conv.weight/Sub_1', 0, 'update', 'optimizer', 'stem.conv.weight'],
  ])('%s', (node, module, phase, part, layer) => {
    expect(placeOf(node, fused)).toEqual({ module, phase, part, layer });
  });

  it('takes from the task what the name does not tell', () => {
    const place = { module: 4, phase: 'relay', part: 'trunk' };
    expect(placeOf('layer2.0/conv1/Conv', task(4, 'relay'))).toEqual({ ...place, layer: 'layer2.0.conv1' });
    expect(placeOf('inserted', task(4, 'relay'))).toEqual({ ...place, layer: '' });
  });

  it.each(['inserted', 'layer2.0/conv1/Conv', '3/eval/Conv', '3/Conv'])('refuses %s of unknown task', (node) => {
    expect(() => placeOf(node, fused)).toThrow(RunError);
    expect(() => placeOf(node, fused)).toThrow(`profile: node '${node}' of step.onnx names no module and phase`);
  });
});

/** @param nodes seconds by name */
const run = (seconds: number, nodes: Readonly<Record<string, number>>): RunProfile => ({
  seconds,
  nodes: Object.entries(nodes).map(([name, spent]) => ({
    name,
    opType: name.replace(/.*[/.]|_\d+$/g, ''),
    seconds: spent,
    outputs: ['float[2,3]'],
  })),
});

describe('stepCosts', () => {
  const forward = task(0, 'forward');
  const update = task(0, 'update');
  const conv = '0/forward/conv/nchwc.Conv';
  const relu = '0/forward/Relu';
  const mul = '0/update/optimizer/conv.weight/Mul_2';

  it('is the median of the steps after the warm-up, of nodes and of runs', () => {
    const { nodes, runSeconds } = stepCosts(
      [
        {
          task: forward,
          runs: [
            run(90, { [conv]: 50, [relu]: 40 }),
            run(10, { [conv]: 3, [relu]: 2 }),
            run(12, { [conv]: 9, [relu]: 1 }),
            run(30, { [conv]: 4, [relu]: 7 }),
          ],
        },
        {
          task: update,
          runs: [run(80, { [mul]: 8 }), run(1, { [mul]: 1 }), run(5, { [mul]: 1 }), run(2, { [mul]: 1 })],
        },
      ],
      1,
    );
    expect(nodes.map(({ node, operator, seconds }) => [node, operator, seconds])).toEqual([
      [conv, 'nchwc.Conv', 4],
      [relu, 'Relu', 2],
      [mul, 'Mul', 1],
    ]);
    expect(nodes[2]).toMatchObject({ module: 0, phase: 'update', part: 'optimizer', outputs: ['float[2,3]'] });
    // Steps of 11, 17 and 32 seconds.
    expect(runSeconds).toBe(17);
  });

  it('refuses tasks that have not run alike', () => {
    const steps = (...runs: RunProfile[]): TaskProfile => ({ task: forward, runs });
    const whole = run(1, { [conv]: 1, [relu]: 1 });
    expect(() => stepCosts([steps(whole)], 1)).toThrow(RunError);
    expect(() => stepCosts([steps(whole, whole), { task: update, runs: [whole] }], 1)).toThrow(RunError);
    const message = `profile: modules/0/forward.onnx ran ${relu} 1 times in 2 steps`;
    expect(() => stepCosts([steps(whole, whole, run(1, { [conv]: 1 }))], 1)).toThrow(message);
    expect(() => stepCosts([steps(whole, run(1, { [conv]: 1 }), whole)], 1)).toThrow(message);
  });
});
