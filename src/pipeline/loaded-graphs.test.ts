/** Sessions of graphs: as many as there are models, and none left where one cannot be made. */
import { expect, test } from 'vitest';
import { buildSharedGraphs } from '../artifacts/index.js';
import { portable } from '../lower/index.js';
import { parseRecipe } from '../recipe/index.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import { LoadedGraphs } from './loaded-graphs.js';

const recipe = parseRecipe(
  {
    network: { type: 'cifar-resnet', depth: 20, widths: [4, 4, 8, 8], classes: 3, image: [1, 8, 8] },
    split: { modules: 9 },
    local: { rule: 'infopro', hierarchy: { independent: 0.5, cascade: 0.5 } },
    optimizer: { type: 'sgd', learningRate: 0.1 },
    schedule: { type: 'constant', epochs: 1 },
    data: { dataset: 'digits', batch: 8 },
  },
  'small',
);
const { manifest, uses } = buildSharedGraphs(recipe, { lowering: portable, schedules: ['sync'] });

/** A runtime that refuses the session of one graph, and the names of its living sessions. */
function runtimeRefusing(file?: string): { runtime: Runtime; living: Set<string> } {
  const living = new Set<string>();
  const createSession = (_model: Uint8Array, { name }: { name: string }): Promise<Session> => {
    if (name === file) return Promise.reject(new Error(`refused ${name}`));
    living.add(name);
    return Promise.resolve({ dispose: () => void living.delete(name) } as unknown as Session);
  };
  const upload = (): object => ({ dispose: () => undefined });
  return { runtime: { createSession, upload } as unknown as Runtime, living };
}

const load = (runtime: Runtime): Promise<LoadedGraphs> =>
  LoadedGraphs.load(runtime, uses, manifest.graphs, ({ file }) => ({ name: file }));

test('there is one session per model, named after the first graph that it runs', async () => {
  const { runtime, living } = runtimeRefusing();
  const loaded = await load(runtime);
  const { graphs } = manifest;
  const firsts = graphs.filter(({ file }, i) => {
    const same = (other: string): boolean => uses.get(other)!.model === uses.get(file)!.model;
    return graphs.findIndex((other) => same(other.file)) === i;
  });
  expect([...living]).toEqual(firsts.map(({ file }) => file));
  expect(firsts.length).toBeLessThan(graphs.length);
  const [second, third] = ['modules/03/heads.onnx', 'modules/04/heads.onnx'].map((wanted) =>
    loaded.graphs.find(({ entry }) => entry.file === wanted),
  );
  expect(second!.session).toBe(third!.session);
  loaded.dispose();
  expect([...living]).toEqual([]);
});

test('where a session cannot be made, none is left', async () => {
  const { runtime, living } = runtimeRefusing('modules/00/update.onnx');
  await expect(load(runtime)).rejects.toThrow('refused modules/00/update.onnx');
  expect([...living]).toEqual([]);
});
