/** Puts the reports together of stages that train by themselves, step by step. */
import type { Manifest } from '../artifacts/index.js';
import type { NamedTensors } from '../files/tensor.js';
import type { StepReport, StepRun } from './engine.js';
import { totalLoss } from './step-findings.js';

interface Open {
  readonly losses: Map<string, number>;
  readonly gradients: NamedTensors;
  stages: number;
}

export class JoinedReports {
  private readonly open = new Map<number, Open>();
  private turn: Promise<void> = Promise.resolve();

  /** @param report takes what all of so many stages gave of a step, in the order of steps */
  constructor(
    private readonly manifest: Manifest,
    private readonly report: StepRun['report'],
    private readonly stages: number,
  ) {}

  /** Takes one stage's part. Resolves at once, or where the step is complete when it has been reported; rejects with what that throws. */
  async add({ losses, gradients }: Pick<StepReport, 'losses' | 'gradients'>, step: number): Promise<void> {
    const entry: Open = this.open.get(step) ?? { losses: new Map(), gradients: new Map(), stages: 0 };
    this.open.set(step, entry);
    for (const [name, loss] of losses) entry.losses.set(name, loss);
    for (const [name, gradient] of gradients) entry.gradients.set(name, gradient);
    if (++entry.stages < this.stages) return;
    this.open.delete(step);
    // Each stage reports in order, so steps are complete in order.
    this.turn = this.turn.then(async () => {
      await this.report?.({ ...entry, total: totalLoss(this.manifest, entry.losses) }, step);
    });
    await this.turn;
  }
}
