/** Puts the reports of all stages together, step by step. */
import type { Manifest } from '../artifacts/index.js';
import { type StepRun, totalLoss } from '../pipeline/index.js';
import { abortable } from './waiting.js';

export class ReportMerger {
  private readonly open = new Map<number, { losses: Map<string, number>; stages: number }>();
  private done: number;
  private turn: Promise<void> = Promise.resolve();
  private waiting: (() => void)[] = [];

  constructor(
    private readonly manifest: Manifest,
    private readonly run: StepRun,
    private readonly stages: number,
  ) {
    this.done = run.first - 1;
  }

  /** Resolves when the step has been reported. */
  async add(step: number, losses: readonly (readonly [string, number])[]): Promise<void> {
    const entry = this.open.get(step) ?? { losses: new Map<string, number>(), stages: 0 };
    this.open.set(step, entry);
    for (const [name, loss] of losses) entry.losses.set(name, loss);
    if (++entry.stages < this.stages) return;
    this.open.delete(step);
    // Each stage reports in order, so steps are complete in order.
    this.turn = this.turn.then(async () => {
      const total = totalLoss(this.manifest, entry.losses);
      await this.run.report?.({ losses: entry.losses, total, gradients: new Map() }, step);
      this.done = step;
      for (const wake of this.waiting.splice(0)) wake();
    });
    await this.turn;
  }

  /** Resolves when the step has been reported; rejects with the signal's reason. */
  async reported(step: number, signal: AbortSignal): Promise<void> {
    while (this.done < step) {
      await abortable(new Promise<void>((resolve) => void this.waiting.push(resolve)), signal);
    }
  }
}
