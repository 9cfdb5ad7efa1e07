/** Trains on the digits, away from the page's own thread. */
import * as ort from 'onnxruntime-web/wasm';
import { createWebRuntime, encodeModel, exportModel, idxDataset, parseRecipe, trainInMemory } from 'hpff/web';
import recipeFile from '../../graphs/digits-hpff.json';
import testImages from '../../data/digits/t10k-images-idx3-ubyte.gz?url';
import testLabels from '../../data/digits/t10k-labels-idx1-ubyte.gz?url';
import trainImages from '../../data/digits/train-images-idx3-ubyte.gz?url';
import trainLabels from '../../data/digits/train-labels-idx1-ubyte.gz?url';

ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;

let stop;

// ONNX Runtime starts its threads from this file as well; they hear messages of its own.
if (!name.startsWith('em-pthread')) {
  onmessage = ({ data }) => {
    if (data === 'stop') stop.abort();
    else train((stop = new AbortController()).signal).catch(({ message }) => postMessage({ event: 'error', message }));
  };
}

async function train(signal) {
  const recipe = parseRecipe(recipeFile, 'digits-hpff.json');
  const data = {
    train: idxDataset('digits', 'train', await contentOf(trainImages), await contentOf(trainLabels)),
    test: idxDataset('digits', 'test', await contentOf(testImages), await contentOf(testLabels)),
  };
  const { weights, testAccuracy } = await trainInMemory(recipe, createWebRuntime(ort), data, {
    signal,
    onStep: ({ step, totalSteps, total, imagesPerSecond }) =>
      postMessage({ event: 'step', step, totalSteps, total, imagesPerSecond }),
    onEpoch: ({ epoch, testAccuracy, testLoss }) => postMessage({ event: 'epoch', epoch, testAccuracy, testLoss }),
  });
  const model = encodeModel(exportModel(recipe, weights));
  postMessage({ event: 'done', testAccuracy, model }, [model.buffer]);
}

/** Some servers unpack gzip for the browser, some hand it on. */
async function contentOf(url) {
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return { bytes, where: url };
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return { bytes: new Uint8Array(await new Response(unpacked).arrayBuffer()), where: url };
}
