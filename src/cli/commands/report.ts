/** `hpff report RUN`: a self-contained page of a run. */
import { writeReport } from '../../report/index.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { Output } from '../output.js';

interface ReportCommandOptions extends CommonOptions {
  readonly output: string;
  readonly trace?: string;
}

const details = `
The page shows losses of every module and head, accuracy, learning rate, step time, memory and, under the schedule async, what the
stages did with their time. It holds all that it needs and can be opened anywhere. The run may be unfinished, or going on. With a
trace (hpff train --trace), it also has a time line of the pipeline: a few steps from its middle.`;

export const addReport: AddCommand = (program, streams) => {
  newCommand(program, 'report <run>', 'write a self-contained HTML page of a run')
    .requiredOption('-o, --output <file>', 'HTML file to write')
    .option('--trace <file>', 'a trace of the run (default: trace.json in its folder, if it is there)')
    .addHelpText('after', details)
    .action(async (run: string, { output: file, trace, json }: ReportCommandOptions) => {
      const output = new Output(streams, json ?? false);
      const { bytes, totals } = await writeReport(run, file, trace === undefined ? {} : { trace });
      const { step, last } = totals;
      output.result(
        { file, bytes, step, testAccuracy: last?.testAccuracy ?? null, testLoss: last?.testLoss ?? null },
        `${file}: ${bytes} bytes, up to step ${step}`,
      );
    });
};
