/** `hpff build RECIPE`: the artifact folder. */
import { type SealedManifest, writeArtifacts } from '../../artifacts/folder.js';
import { buildGraphs, checkWeights } from '../../artifacts/index.js';
import { buildTrainingGraphs, type TrainingGraphs, type TrainingTensors } from '../../artifacts/ort-training/index.js';
import { InputError } from '../../errors.js';
import { readSafetensors } from '../../files/safetensors.js';
import { initialWeights } from '../../local/index.js';
import { chooseLowering, type LoweringChoice } from '../../pipeline/index.js';
import type { Recipe } from '../../recipe/index.js';
import { readRecipe } from '../../recipe/read.js';
import { createNativeRuntime } from '../../runtime/native/index.js';
import { readRun } from '../../train/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { batchOption, loweringOption, verboseOption } from '../options.js';
import { Output } from '../output.js';

/** The name of the lowering for ONNX Runtime's training API. */
const trainingLowering = 'ort-training';

const details = `
--lowering ort-training writes, for each local module, what the training API of ONNX Runtime 1.19.2 takes: training_model.onnx, eval_model.onnx,
optimizer_model.onnx and checkpoint, and with HiLo forward_model.onnx (docs/ort-training.md).`;

interface BuildOptions extends CommonOptions {
  readonly verbose?: true;
  readonly output: string;
  readonly lowering: string;
  readonly batch?: number;
  readonly from?: string;
}

/** The lowering of that name on this machine. */
async function loweringFor(name: string): Promise<LoweringChoice> {
  const runtime = await createNativeRuntime();
  try {
    return await chooseLowering(name, runtime);
  } finally {
    runtime.dispose();
  }
}

/** Graphs for sessions of any ONNX Runtime. */
async function buildForInference(recipe: Recipe, options: BuildOptions, output: Output): Promise<SealedManifest> {
  const choice = await loweringFor(options.lowering);
  if (options.verbose) output.message(`lowering ${choice.lowering.name}: ${choice.reason}`);
  const graphs = buildGraphs(recipe, {
    lowering: choice.lowering,
    schedules: ['sync', 'fused'],
    ...(options.batch === undefined ? {} : { batch: options.batch }),
  });
  return writeArtifacts(options.output, graphs, initialWeights(recipe));
}

/** Models and checkpoints for sessions of ONNX Runtime's training API. */
async function buildForTraining(
  recipe: Recipe,
  { batch, from, output: folder }: BuildOptions,
): Promise<SealedManifest> {
  const graphs = buildTrainingGraphs(recipe, { batch });
  const tensors =
    from === undefined ? { weights: initialWeights(recipe), optimizer: null, step: 0 } : await readStart(from, graphs);
  return writeArtifacts(folder, graphs, tensors.weights, graphs.checkpoints(tensors));
}

/** What a run has come to, or weights in a file. @throws InputError where they do not fit */
async function readStart(from: string, { manifest }: TrainingGraphs): Promise<TrainingTensors> {
  const { parameters, states } = manifest;
  if (from.endsWith('.safetensors')) {
    const { tensors } = await readSafetensors(from);
    return { weights: checkWeights(tensors, parameters, from), optimizer: null, step: 0 };
  }
  const { checkpoint } = await readRun(from);
  const kept = states.map(({ name, shape }) => ({ name, shape, kind: 'parameter' as const }));
  return {
    weights: checkWeights(checkpoint.weights, parameters, `${checkpoint.folder}/weights.safetensors`),
    optimizer: checkWeights(checkpoint.optimizer, kept, `${checkpoint.folder}/optimizer.safetensors`),
    step: checkpoint.state.step,
  };
}

export const addBuild: AddCommand = (program, streams) => {
  newCommand(program, 'build <recipe>', 'write the ONNX graphs of a training step, with weights and a manifest')
    .addHelpText('after', details)
    .requiredOption('-o, --output <folder>', 'artifact folder to write; one that is there is replaced')
    .addOption(loweringOption(trainingLowering))
    .addOption(verboseOption())
    .addOption(batchOption())
    .option('--from <run>', 'with --lowering ort-training: begin with the state of a run, or with a safetensors file')
    .action(async (file: string, options: BuildOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      if (options.from !== undefined && options.lowering !== trainingLowering) {
        throw new InputError(
          'USAGE',
          `--from: found with --lowering ${options.lowering}, allowed: with ${trainingLowering}`,
        );
      }
      const build = options.lowering === trainingLowering ? buildForTraining : buildForInference;
      const manifest = await build(recipe, options, output);
      const { lowering, batch, modules } = manifest;
      output.result(
        { folder: options.output, lowering, batch, modules: modules.length, graphs: manifest.graphs.length },
        `${options.output}: ${manifest.graphs.length} graphs for ${modules.length} modules, batch ${batch}, lowering ${lowering}`,
      );
    });
};
