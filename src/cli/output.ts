/** Where a command's words go: results to stdout, as text or as JSON; everything else to stderr. */

/** A stream to write to; a terminal says so and knows its width. */
export type Sink = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface Streams {
  readonly stdout: Sink;
  readonly stderr: Sink;
}

export class Output {
  /** @param json write JSON on stdout, and nothing else there */
  constructor(
    readonly streams: Streams,
    readonly json: boolean,
  ) {}

  /** The result of the command: one JSON document, or text. */
  result(value: object, text: string): void {
    this.streams.stdout.write(this.json ? `${JSON.stringify(value)}\n` : `${text}\n`);
  }

  /** Something that happened on the way: a line of JSON under `--json`, otherwise nothing. */
  event(value: object): void {
    if (this.json) this.streams.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** A line for the user on stderr. */
  readonly message = (line: string): void => {
    this.streams.stderr.write(`${line}\n`);
  };

  /** A doubtful setting or circumstance, on stderr. */
  readonly warn = (line: string): void => {
    this.message(`hpff: warning: ${line}`);
  };
}
