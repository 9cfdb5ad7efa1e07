/** Profiles of training steps: what each operator costs. Measured in processes of their own, so that timings of steps are free of what measuring costs. */
import { alternate, type Trainer } from './bench.js';
import { type Breakdown, breakdowns } from './breakdown.js';
import type { NodeCost } from './costs.js';
import { median } from './median.js';
import type { Subject } from './messages.js';
import { WorkerProcess } from './process.js';
import type { ProfileFolder } from './profile-folder.js';

export interface Profile {
  readonly recipe: string;
  readonly schedule: string;
  readonly lowering: string;
  readonly threads: number;
  readonly batch: number;
  /** Steps measured, after one that is not. */
  readonly steps: number;
  /** Wall time of a step while its nodes are measured: median. */
  readonly stepSeconds: number;
  /** Of that, in ONNX Runtime's runs: kernels and what lies between them. */
  readonly runSeconds: number;
  /** Of that, in kernels: the sum over `nodes`. */
  readonly kernelSeconds: number;
  readonly breakdowns: readonly Breakdown[];
  /** Every ONNX node of the step, in the order in which they run. */
  readonly nodes: readonly NodeCost[];
}

/**
 * @param steps measured for each subject, after one that is not; the subjects take steps in turn
 * @param folder takes files meanwhile
 * @param progress called after each round with the number of rounds done
 * @throws InputError or RunError as the first process that fails
 */
export async function profile(
  subjects: readonly Subject[],
  steps: number,
  folder: ProfileFolder,
  progress: (done: number) => void = () => {},
): Promise<Profile[]> {
  const processes = subjects.map((subject) => new ProfiledProcess(subject, folder.path));
  folder.writtenBy(() => processes.forEach((each) => each.kill()));
  const measurements = await alternate(processes, steps, progress);
  return measurements.map(({ seconds, finished }) => ({ ...finished, steps, stepSeconds: median(seconds) }));
}

type Finished = Omit<Profile, 'steps' | 'stepSeconds'>;

/** The process of one recipe, which measures its nodes. */
class ProfiledProcess implements Trainer<Finished> {
  private readonly worker: WorkerProcess;
  private lowering = '';

  constructor(
    private readonly subject: Subject,
    private readonly profileFolder: string,
  ) {
    this.worker = new WorkerProcess(subject.recipe.name);
  }

  async start(): Promise<void> {
    const { subject, profileFolder } = this;
    this.lowering = (await this.worker.ask({ kind: 'start', subject, profileFolder }, 'ready')).lowering;
  }

  async step(): Promise<number> {
    return (await this.worker.ask({ kind: 'step' }, 'stepped')).seconds;
  }

  async finish(): Promise<Finished> {
    const { costs } = await this.worker.ask({ kind: 'profile' }, 'profiled');
    const { recipe, schedule, threads } = this.subject;
    return {
      recipe: recipe.name,
      schedule,
      lowering: this.lowering,
      threads,
      batch: recipe.data.batch,
      runSeconds: costs.runSeconds,
      kernelSeconds: costs.nodes.reduce((sum, { seconds }) => sum + seconds, 0),
      breakdowns: breakdowns(costs.nodes),
      nodes: costs.nodes,
    };
  }

  kill(): void {
    this.worker.kill();
  }
}
