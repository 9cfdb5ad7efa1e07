/** Puts the reports of all stages together, step by step, and tells how far they are. */
import type { Manifest } from '../artifacts/index.js';
import { JoinedReports, type StepRun } from '../pipeline/index.js';
import { abortable } from './waiting.js';

export class ReportMerger {
  private readonly joined: JoinedReports;
  private done: number;
  private waiting: (() => void)[] = [];

  constructor(manifest: Manifest, run: StepRun, stages: number) {
    this.done = run.first - 1;
    this.joined = new JoinedReports(
      manifest,
      async (report, step) => {
        await run.report?.(report, step);
        this.done = step;
        for (const wake of this.waiting.splice(0)) wake();
      },
      stages,
    );
  }

  /** Takes what one stage has of a step. Resolves as `JoinedReports.add`. */
  async add(step: number, losses: readonly (readonly [string, number])[]): Promise<void> {
    await this.joined.add({ losses: new Map(losses), gradients: new Map() }, step);
  }

  /** Resolves when the step has been reported; rejects with the signal's reason. */
  async reported(step: number, signal: AbortSignal): Promise<void> {
    while (this.done < step) {
      await abortable(new Promise<void>((resolve) => void this.waiting.push(resolve)), signal);
    }
  }
}
