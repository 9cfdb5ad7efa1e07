/** `hpff build RECIPE`: the artifact folder. */
import { buildGraphs, writeArtifacts } from '../../artifacts/index.js';
import { initialWeights } from '../../local/index.js';
import { chooseLowering, type LoweringChoice } from '../../pipeline/index.js';
import { readRecipe } from '../../recipe/index.js';
import { createNativeRuntime } from '../../runtime/native/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { batchOption, loweringOption, verboseOption } from '../options.js';
import { Output } from '../output.js';

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

export const addBuild: AddCommand = (program, streams) => {
  newCommand(program, 'build <recipe>', 'write the ONNX graphs of a training step, with weights and a manifest')
    .requiredOption('-o, --output <folder>', 'artifact folder to write; one that is there is replaced')
    .addOption(loweringOption())
    .addOption(verboseOption())
    .addOption(batchOption())
    .action(async (file: string, options: BuildOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = await readRecipe(file, output.warn);
      const choice = await loweringFor(options.lowering);
      if (options.verbose) output.message(`lowering ${choice.lowering.name}: ${choice.reason}`);
      const graphs = buildGraphs(recipe, {
        lowering: choice.lowering,
        schedules: ['sync', 'fused'],
        ...(options.batch === undefined ? {} : { batch: options.batch }),
      });
      const manifest = await writeArtifacts(options.output, graphs, initialWeights(recipe));
      const { lowering, batch, modules } = manifest;
      output.result(
        { folder: options.output, lowering, batch, modules: modules.length, graphs: manifest.graphs.length },
        `${options.output}: ${manifest.graphs.length} graphs for ${modules.length} modules, batch ${batch}, lowering ${lowering}`,
      );
    });
};
