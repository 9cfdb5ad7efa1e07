/** Real steps, node by node. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { tinyRecipe } from '../../test/support/training.js';
import { buildGraphs } from '../artifacts/index.js';
import { float32 } from '../files/tensor.js';
import { initialWeights } from '../local/index.js';
import { openEngine } from '../pipeline/index.js';
import { type NodeCost, stepCosts } from './costs.js';

const batch = 64;
const recipe = tinyRecipe({
  network: { type: 'cifar-resnet', depth: 8, widths: [8, 8, 8, 16], classes: 10, image: [1, 8, 8] },
  local: {
    rule: 'infopro',
    hierarchy: { independent: 0.5, cascade: 0.5 },
    lambda: { decoder: [1, 1], classifier: [1, 1] },
    patches: { grid: 2, on: ['decoder'], weights: 'separate', fuse: 'sum' },
  },
});

/** Seconds of one step after another that does not count, and what it was made of. */
async function profileStep(schedule: 'sync' | 'fused', lowering: string) {
  const profileFolder = mkdtempSync(path.join(tmpdir(), 'hpff-profile-test-'));
  const open = await openEngine(recipe, { schedule, lowering, batch, threads: 1, profileFolder });
  try {
    open.engine.load(initialWeights(recipe));
    const image = float32([batch, 1, 8, 8], new Float32Array(batch * 64).fill(0.5));
    const label = { dtype: 'int64', shape: [batch], data: new BigInt64Array(batch) } as const;
    await open.engine.step({ image, label }, 0.01, 1);
    const started = performance.now();
    await open.engine.step({ image, label }, 0.01, 2);
    const stepSeconds = (performance.now() - started) / 1000;
    const { nodes, runSeconds } = stepCosts(await open.engine.endProfile!(), 1);
    const graphs = buildGraphs(recipe, { lowering: open.lowering.lowering, schedules: [schedule], batch });
    const models = [...graphs.models].filter(([file]) => file !== 'eval.onnx').map(([, model]) => model);
    const parameters = open.manifest.parameters.map(({ name }) => name);
    return { nodes, runSeconds, stepSeconds, parameters, written: models.flatMap(({ graph }) => graph.nodes) };
  } finally {
    open.dispose();
    rmSync(profileFolder, { recursive: true });
  }
}

const sum = (nodes: readonly NodeCost[]): number => nodes.reduce((total, { seconds }) => total + seconds, 0);

const tasksOf = (nodes: readonly NodeCost[]): string[] =>
  [...new Set(nodes.map(({ module, phase }) => `${module}/${phase}`))].sort();

const everyTask = [
  '0/forward',
  '0/update',
  '1/forward',
  '1/heads',
  '1/relay',
  '1/update',
  '2/forward',
  '2/heads',
  '2/update',
];

test.each([
  ['sync', 'portable'],
  ['sync', 'auto'],
  ['fused', 'portable'],
  ['fused', 'auto'],
] as const)(
  'every node of a step has its place, and their times fit into the step: %s, %s',
  async (schedule, lowering) => {
    const { nodes, runSeconds, stepSeconds, parameters, written } = await profileStep(schedule, lowering);
    expect(nodes.map(({ node }) => node).sort()).toEqual(written.map(({ name }) => name).sort());
    expect(tasksOf(nodes)).toEqual(everyTask);

    for (const part of ['trunk', 'heads.classifier', 'heads.decoder', 'heads.other', 'optimizer'] as const) {
      expect(sum(nodes.filter((node) => node.part === part)), part).toBeGreaterThan(0);
    }
    const homes = nodes.filter(({ layer }) => layer.startsWith('heads.'));
    expect(
      homes.filter(({ layer, module, phase }) => !layer.startsWith(`heads.${module}.`) || phase !== 'heads'),
    ).toEqual([]);
    const optimizer = nodes.filter(({ part }) => part === 'optimizer');
    expect(new Set(optimizer.map(({ phase }) => phase))).toEqual(new Set(['heads', 'update']));
    // Every layer with parameters, and nothing that is held back for a sum loses its own.
    const layers = new Set(nodes.filter(({ part }) => part !== 'optimizer').map(({ layer }) => layer));
    expect(
      parameters.map((name) => name.slice(0, name.lastIndexOf('.'))).filter((layer) => !layers.has(layer)),
    ).toEqual([]);
    const relay = nodes.filter(({ phase, operator }) => phase === 'relay' && /(?:^|\.)Conv$/.test(operator));
    expect(relay.length).toBeGreaterThan(0);
    expect(relay.filter(({ layer }) => !/^layer2\.0\./.test(layer))).toEqual([]);

    expect(sum(nodes)).toBeLessThanOrEqual(runSeconds);
    expect(runSeconds).toBeLessThanOrEqual(stepSeconds);
    expect(sum(nodes)).toBeGreaterThan(0.2 * runSeconds);
  },
);
