/** `hpff build RECIPE`: the artifact folder. */
import { buildGraphs, buildTrainingGraphs, type SealedManifest, writeArtifacts } from '../../artifacts/index.js';
import { initialWeights } from '../../local/index.js';
import { chooseLowering, type LoweringChoice } from '../../pipeline/index.js';
import { readRecipe, type Recipe } from '../../recipe/index.js';
import { createNativeRuntime } from '../../runtime/native/index.js';
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
async function buildForTraining(recipe: Recipe, { batch, output: folder }: BuildOptions): Promise<SealedManifest> {
  const graphs = buildTrainingGraphs(recipe, { batch });
  const weights = initialWeights(recipe);
  return writeArtifacts(folder, graphs, weights, graphs.checkpoints({ weights, optimizer: null, step: 0 }));
}

export const addBuild: AddCommand = (program, streams) => {
  newCommand(program, 'build <recipe>', 'write the ONNX graphs of a training step, with weights and a manifest')
    .addHelpText('after', details)
    .requiredOption('-o, --output <folder>', 'artifact folder to write; one that is there is replaced')
    .addOption(loweringOption(trainingLowering))
    .addOption(verboseOption())
    .addOption(batchOption())
    .action(async (file: string, options: BuildOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      const build = options.lowering === trainingLowering ? buildForTraining : buildForInference;
      const manifest = await build(recipe, options, output);
      const { lowering, batch, modules } = manifest;
      output.result(
        { folder: options.output, lowering, batch, modules: modules.length, graphs: manifest.graphs.length },
        `${options.output}: ${manifest.graphs.length} graphs for ${modules.length} modules, batch ${batch}, lowering ${lowering}`,
      );
    });
};
