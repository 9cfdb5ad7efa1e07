/** Means of losses over a group of steps. */
import type { StepLosses } from '../pipeline/index.js';

/** A group in progress, as a checkpoint keeps it: a resumed run reports the same means to the bit. */
export interface OpenGroup {
  readonly steps: number;
  readonly total: number;
  readonly losses: Readonly<Record<string, number>>;
}

/** Speeds are null where none of the group's steps was timed. */
export interface GroupMeans extends OpenGroup {
  readonly imagesPerSecond: number | null;
  /** Mean over the steps that were timed. */
  readonly stepSeconds: number | null;
  /** Of these, spent on waiting for a batch. */
  readonly dataSeconds: number | null;
}

export class LossMeter {
  private steps = 0;
  private total = 0;
  private readonly losses = new Map<string, number>();
  private seconds = 0;
  private images = 0;
  private timedSteps = 0;
  private waitedSeconds = 0;

  /** @param open sums of a group that another process began */
  constructor(open: OpenGroup | null = null) {
    if (open === null) return;
    this.steps = open.steps;
    this.total = open.total;
    this.losses = new Map(Object.entries(open.losses));
  }

  get empty(): boolean {
    return this.steps === 0;
  }

  add(report: StepLosses, images: number, seconds: number): void {
    this.steps++;
    this.total += report.total;
    for (const [name, loss] of report.losses) this.losses.set(name, (this.losses.get(name) ?? 0) + loss);
    this.images += images;
    this.seconds += seconds;
    this.timedSteps++;
  }

  /** Time that went by until a batch was there. */
  addWaiting(seconds: number): void {
    this.waitedSeconds += seconds;
  }

  /** Sums so far. */
  open(): OpenGroup {
    return { steps: this.steps, total: this.total, losses: Object.fromEntries(this.losses) };
  }

  /** Ends the group and begins the next. */
  take(): GroupMeans {
    const { steps, seconds, timedSteps } = this;
    const means: GroupMeans = {
      steps,
      total: this.total / steps,
      losses: Object.fromEntries([...this.losses].map(([name, sum]) => [name, sum / steps])),
      imagesPerSecond: seconds > 0 ? this.images / seconds : null,
      stepSeconds: timedSteps > 0 ? seconds / timedSteps : null,
      dataSeconds: timedSteps > 0 ? this.waitedSeconds / timedSteps : null,
    };
    this.losses.clear();
    this.steps = this.total = this.images = this.seconds = this.timedSteps = this.waitedSeconds = 0;
    return means;
  }
}
