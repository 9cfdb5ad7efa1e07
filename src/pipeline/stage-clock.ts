/** Where the time of a stage goes. */
import type { StageTimes } from './engine.js';

export class StageClock {
  private busy = 0;
  private waiting = 0;
  private transfer = 0;

  constructor(
    /** Indices of the stage's modules. */
    readonly modules: readonly number[],
  ) {}

  /** All in milliseconds. */
  add({ busy = 0, waiting = 0, transfer = 0 }: { busy?: number; waiting?: number; transfer?: number }): void {
    this.busy += busy;
    this.waiting += waiting;
    this.transfer += transfer;
  }

  /** The times since the last call. */
  take(): StageTimes {
    const { modules } = this;
    const [busySeconds, waitingSeconds, transferSeconds] = [this.busy, this.waiting, this.transfer].map(
      (milliseconds) => milliseconds / 1000,
    ) as [number, number, number];
    this.busy = this.waiting = this.transfer = 0;
    return { modules, busySeconds, waitingSeconds, transferSeconds };
  }
}
