/** `hpff worker --connect URL`: trains stages for coordinators. */
import { work } from '../../cluster/index.js';
import { searchHeapLessOften } from '../../pipeline/index.js';
import { readRecipe } from '../../recipe/read.js';
import { addClusterOptions, clusterOptions, type ClusterCommandOptions, connectOption } from '../cluster-options.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { threadsOption } from '../options.js';
import { Output } from '../output.js';
import { stopOnSignals } from '../signals.js';

interface WorkerCommandOptions extends CommonOptions, ClusterCommandOptions {
  readonly connect: string;
  readonly threads?: number;
  readonly recipe?: string;
}

const details = `
A worker waits for hpff train … --connect URL and trains a stage of its network. It needs neither recipe nor data. When it dies, training goes
on from the last checkpoint on the workers that are left, or on a new one. Ctrl-C ends it.

The NATS server needs JetStream: nats-server -js. See docs/cluster.md for credentials, TLS and how to start on several machines.`;

export const addWorker: AddCommand = (program, streams) => {
  const command = newCommand(program, 'worker', 'train stages for coordinators, over a NATS server')
    .addOption(connectOption().makeOptionMandatory())
    .addOption(threadsOption('all cores'))
    .option('--recipe <recipe>', 'serve this recipe only');
  addClusterOptions(command)
    .addHelpText('after', details)
    .action(async (options: WorkerCommandOptions) => {
      const output = new Output(streams, options.json ?? false);
      const recipe = options.recipe === undefined ? {} : { recipe: await readRecipe(options.recipe, output.warn) };
      using signals = stopOnSignals(
        () => output.message('hpff: ending after this task; once more to end at once'),
        streams,
      );
      searchHeapLessOften();
      await work({
        ...clusterOptions(options.connect, options),
        ...recipe,
        ...(options.threads === undefined ? {} : { threads: options.threads }),
        note: output.message,
        signal: signals.signal,
      });
    });
};
