/** One process at a time trains in a run folder: the file `lock` in it says which. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { ProcessLock } from '../files/process-lock.js';

export const LOCK = 'lock';

/** Held from when the run is there until it is disposed. */
export class RunLock implements AsyncDisposable {
  private held: ProcessLock | null = null;

  /** @param folder of the run */
  constructor(private readonly folder: string) {}

  /**
   * Takes the lock of a run that is there; where there is none, there is nothing to lock.
   * @throws InputError `LOCKED` where another process has it
   */
  async take(): Promise<void> {
    const isRun = await access(join(this.folder, 'recipe.json')).then(
      () => true,
      () => false,
    );
    if (isRun) await this.takeIn(this.folder);
  }

  /** Takes the lock in a folder that is the run's, or is going to be renamed to it. @throws as `take` */
  async takeIn(folder: string): Promise<void> {
    const lock = await ProcessLock.take(join(folder, LOCK), this.folder);
    this.held = lock.movedTo(join(this.folder, LOCK));
  }

  /** What cannot be removed is taken over by the next process, as this one will have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.held?.[Symbol.asyncDispose]().catch(() => undefined);
    this.held = null;
  }
}
