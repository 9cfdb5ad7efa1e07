/** Runs commands inside a test, with what they write caught. */
import { Writable } from 'node:stream';
import { run } from '../src/cli/main.js';
import type { Sink } from '../src/cli/output.js';

/** A stream that keeps what is written to it. */
export class Capture extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }

  /** Says that it is a terminal of this width. */
  asTerminal(columns: number): Sink & Capture {
    return Object.assign(this, { isTTY: true, columns });
  }
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `hpff` with these arguments. */
export async function hpff(...args: string[]): Promise<Finished> {
  const streams = { stdout: new Capture(), stderr: new Capture() };
  const code = await run(args, streams);
  return { code, stdout: streams.stdout.text, stderr: streams.stderr.text };
}
