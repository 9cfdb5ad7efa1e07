/** A folder for what ONNX Runtime writes while it measures nodes: removed however the process ends, but by SIGKILL. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InputError } from '../errors.js';
import { quoted } from '../files/printable.js';
import { errnoCode } from '../files/system-errors.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Exists, and listens to signals, until it is disposed. */
export class ProfileFolder implements Disposable {
  private readonly writers: (() => void)[] = [];

  private constructor(readonly path: string) {
    process.on('exit', this.remove);
    for (const name of SIGNALS) process.on(name, this.onSignal);
  }

  /** @throws InputError where the folder of temporary files takes none */
  static make(): ProfileFolder {
    return new ProfileFolder(makeFolder());
  }

  /** @param end ends a process that writes here: whoever removes the folder while files are added has to be the faster one */
  writtenBy(end: () => void): void {
    this.writers.push(end);
  }

  [Symbol.dispose](): void {
    process.removeListener('exit', this.remove);
    for (const name of SIGNALS) process.removeListener(name, this.onSignal);
    this.remove();
  }

  private readonly remove = (): void => {
    for (const end of this.writers) end();
    // Tried again: a process does not end at once.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  };

  /** Ends the process as the signal would have, had nobody listened. */
  private readonly onSignal = (name: NodeJS.Signals): void => {
    this[Symbol.dispose]();
    process.kill(process.pid, name);
  };
}

function makeFolder(): string {
  try {
    return mkdtempSync(path.join(tmpdir(), 'hpff-profile-'));
  } catch (cause) {
    const code = errnoCode(cause);
    if (code === undefined) throw cause;
    throw new InputError(
      'TMPDIR_NOT_WRITABLE',
      `TMPDIR: found ${quoted(tmpdir())}, where no folder can be made (${code}), allowed: a folder to write into`,
      { cause },
    );
  }
}
