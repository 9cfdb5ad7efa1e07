/**
 * The file of a Chrome trace, the JSON object of the Trace Event Format, written while a program runs. After every write it is whole: each one ends with the
 * end of the document, which the next one overwrites. So it can be read however the program ends, and while it runs.
 *
 * Writing never holds up the program: events wait in memory, a bounded number of them, and what fails is told once.
 */
import { open, stat, type FileHandle } from 'node:fs/promises';
import { HpffError, InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { errnoCode, writeError } from '../files/system-errors.js';

const HEAD = '{"displayTimeUnit":"ms","traceEvents":[\n';
const BETWEEN = ',\n';
const TAIL = '\n]}\n';

const FLUSH_MILLISECONDS = 500;
const MAX_WAITING_CHARACTERS = 2 ** 23;

/** Takes a line for the user. */
export type Warn = (line: string) => void;

export class TraceFile {
  private waiting: string[] = [];
  private waitingCharacters = 0;
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> | undefined;
  private tellsLoss = true;
  private failed = false;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    /** Where the end of the document begins. */
    private end: number,
    private readonly warn: Warn,
  ) {}

  /**
   * Begins a file, and replaces what was there.
   * @param first the first event
   * @param warn takes at most a line on each thing that goes wrong from now on
   * @throws InputError `OUTPUT_NOT_WRITABLE` or `DISK_FULL`; RunError `WRITE_FAILED` if the machine fails
   */
  static async open(path: string, first: object, warn: Warn): Promise<TraceFile> {
    let handle: FileHandle | undefined;
    try {
      await requireRegularFile(path);
      handle = await open(path, 'w');
      const text = HEAD + JSON.stringify(first);
      await writeWhole(handle, text + TAIL, 0);
      return new TraceFile(path, handle, Buffer.byteLength(text), warn);
    } catch (error) {
      await handle?.close().catch(() => undefined);
      throw writeError(path, error);
    }
  }

  add(event: object): void {
    if (this.failed) return;
    if (this.waitingCharacters > MAX_WAITING_CHARACTERS) return this.lose();
    const text = BETWEEN + JSON.stringify(event);
    this.waiting.push(text);
    this.waitingCharacters += text.length;
    this.timer ??= setTimeout(() => this.flush(), FLUSH_MILLISECONDS).unref();
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    await this.writing;
    await this.write();
    await this.handle.close().catch((error: unknown) => this.tell(error));
  }

  private flush(): void {
    this.writing = this.write().then(() => {
      this.timer = this.writing = undefined;
      if (this.waiting.length > 0) this.timer = setTimeout(() => this.flush(), FLUSH_MILLISECONDS).unref();
    });
  }

  private async write(): Promise<void> {
    if (this.failed || this.waiting.length === 0) return;
    const text = this.waiting.join('');
    this.waiting = [];
    this.waitingCharacters = 0;
    try {
      await writeWhole(this.handle, text + TAIL, this.end);
      this.end += Buffer.byteLength(text);
    } catch (error) {
      this.failed = true;
      this.waiting = [];
      this.tell(error);
      await this.cutBack().catch(() => undefined); // what went wrong has been told
    }
  }

  /** Ends the document where the last good write did. */
  private async cutBack(): Promise<void> {
    await writeWhole(this.handle, TAIL, this.end);
    await this.handle.truncate(this.end + TAIL.length);
  }

  private lose(): void {
    if (this.tellsLoss) this.warn(`${printable(this.path)}: written too slowly: the trace will lack events`);
    this.tellsLoss = false;
  }

  private tell(error: unknown): void {
    const known = writeError(this.path, error);
    const problem = known instanceof HpffError ? known.message : `${printable(this.path)}: ${printable(String(error))}`;
    this.warn(`${problem}; the trace ends here, training goes on`);
  }
}

/** Only these can be written anywhere but at their end. */
async function requireRegularFile(path: string): Promise<void> {
  try {
    const found = await stat(path);
    if (found.isFile() || found.isDirectory()) return;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw error;
  }
  throw new InputError('OUTPUT_NOT_WRITABLE', `${printable(path)}: is not a regular file`);
}

/** Writes all of a text; one write may do only part of it. */
async function writeWhole(handle: FileHandle, text: string, position: number): Promise<void> {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
