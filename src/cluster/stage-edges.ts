/** The streams between the coordinator and the stages of a run, and from stage to stage, each with room for what may be under way in it. */
import { imagesPerRun, type Manifest } from '../artifacts/index.js';
import { elementCount } from '../files/tensor.js';
import type { ClusterConnection } from './connection.js';
import { downEdge, featuresEdge, relaysEdge, upEdge } from './protocol.js';
import { createEdge } from './streams.js';

/** For values that are small beside it, such as losses and learning rates. */
const SMALL_BYTES = 16 * 2 ** 20;

/** @throws RunError as `createEdge` */
export async function createStageEdges(
  connection: ClusterConnection,
  place: { readonly run: string; readonly generation: number },
  stages: number,
  { manifest, delay }: { readonly manifest: Manifest; readonly delay: number },
  signal?: AbortSignal,
): Promise<void> {
  const create = async (edge: string, bytes: number): Promise<void> => {
    const room = 1.2 * bytes + 2 ** 20; // headers and records of the server come on top of the data
    await createEdge(connection, { ...place, edge }, { maxBytes: Math.ceil(room) }, signal);
  };
  const tensor = Math.max(...[...manifest.parameters, ...manifest.states].map(({ shape }) => bytesOf(shape)));
  const values = manifest.graphs.flatMap(({ outputs }) => outputs);
  const passing = values.filter(({ meaning }) => meaning === 'feature' || meaning === 'relay');
  const feature = Math.max(0, ...passing.map(({ shape }) => bytesOf(shape)));
  const image = bytesOf([imagesPerRun(manifest), ...manifest.recipe.network.image]);
  for (let stage = 0; stage < stages; stage++) {
    await create(downEdge(stage), 2 * Math.max(image, tensor) + SMALL_BYTES);
    await create(upEdge(stage), 2 * tensor + SMALL_BYTES);
    if (stage < stages - 1) await create(featuresEdge(stage), (2 * delay + 3) * feature);
    if (stage > 0) await create(relaysEdge(stage), (2 * delay + 3) * feature);
  }
}

/** Of float32. */
const bytesOf = (shape: readonly (number | string)[]): number => 4 * elementCount(shape as number[]);
