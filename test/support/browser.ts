/** A page in Chromium without a window, driven by the browser's debugging protocol over a pipe. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** The command of a browser that is installed here. */
export const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

interface Message {
  /** Of the question that it answers; events have none. */
  readonly id?: number;
  readonly method?: string;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Evaluated {
  readonly result: { readonly value: unknown };
  readonly exceptionDetails?: { readonly exception?: { readonly description?: string }; readonly text: string };
}

export class Page {
  private readonly waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  private count = 0;
  private received = '';
  private session: string | undefined;
  private loaded: (() => void) | undefined;

  private constructor(
    private readonly browser: ChildProcess,
    private readonly profile: string,
  ) {
    (browser.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => this.take(text));
    browser.on('exit', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the browser has ended'));
    });
  }

  /** The page with its scripts run. */
  static async open(url: string): Promise<Page> {
    const profile = mkdtempSync(path.join(tmpdir(), 'hpff-browser-'));
    const options = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${profile}`];
    const browser = spawn(chromium!, [...options, '--remote-debugging-pipe', 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      detached: true, // leads a group, which all of its own processes are in
    });
    const page = new Page(browser, profile);
    try {
      await page.load(url);
    } catch (error) {
      await page.close();
      throw error;
    }
    return page;
  }

  private async load(url: string): Promise<void> {
    const { targetId } = await this.send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
    const attached = await this.send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true });
    this.session = attached.sessionId;
    await this.send('Page.enable', {});
    const loaded = new Promise<void>((resolve) => (this.loaded = resolve));
    await this.send('Page.navigate', { url });
    await loaded;
  }

  /** The value of an expression, which may be a promise; it must be plain data. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.send<Evaluated>('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (!exceptionDetails) return result.value;
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  }

  /** Asks until the expression is neither false nor empty. @throws Error after `milliseconds` */
  async until(expression: string, milliseconds: number): Promise<unknown> {
    for (const end = Date.now() + milliseconds; Date.now() < end;) {
      const value = await this.evaluate(expression);
      if (value) return value;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`not within ${milliseconds} ms: ${expression}`);
  }

  async close(): Promise<void> {
    if (this.browser.exitCode === null && this.browser.signalCode === null) {
      const ended = new Promise((resolve) => this.browser.once('exit', resolve));
      process.kill(-this.browser.pid!, 'SIGKILL');
      await ended;
    }
    // The rest of the group may take a moment to end, and write there until then.
    await rm(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  private async send<T>(method: string, params: object): Promise<T> {
    if (this.browser.exitCode !== null) throw new Error('the browser has ended');
    const id = ++this.count;
    const answer = new Promise<T>((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    const message = { id, method, params, ...(this.session === undefined ? {} : { sessionId: this.session }) };
    (this.browser.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    return answer;
  }

  private take(text: string): void {
    const messages = (this.received + text).split('\0');
    this.received = messages.pop()!;
    for (const message of messages) {
      const { id, method, result, error } = JSON.parse(message) as Message;
      if (method === 'Page.loadEventFired') this.loaded?.();
      if (id === undefined) continue;
      const { resolve, reject } = this.waiting.get(id)!;
      this.waiting.delete(id);
      if (error) reject(new Error(error.message));
      else resolve(result as never);
    }
  }
}
