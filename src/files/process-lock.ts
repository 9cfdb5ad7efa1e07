/**
 * A lock file that says which process works in a folder. It does not depend on time: it holds as long as its process lives, and who finds
 * that of a dead process takes it over.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { InputError } from '../errors.js';
import { printable } from './printable.js';
import { errnoCode, writeError } from './system-errors.js';

/** What a lock file says, as JSON. */
interface Holder {
  readonly host: string;
  readonly pid: number;
  /** What tells the process from a later one with the same number; null where the system does not say. */
  readonly started: string | null;
  /** Of this one lock. */
  readonly token: string;
}

/** Others may come in between; each time somebody else has got the lock or lost it. */
const ATTEMPTS = 20;

/** File systems without hard links. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

export class ProcessLock {
  private constructor(
    private readonly path: string,
    private readonly content: string,
  ) {}

  /**
   * @param path the lock file; its folder must exist
   * @param what is locked, for the message
   * @throws InputError `LOCKED` where a process that lives, or one of another machine, has it; as `writeError`
   */
  static async take(path: string, what: string): Promise<ProcessLock> {
    const holder = { host: hostname(), pid: process.pid, started: await startOf(process.pid), token: randomUUID() };
    const content = `${JSON.stringify(holder)}\n`;
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (await create(path, content)) return new ProcessLock(path, content);
        const found = await readIfThere(path);
        if (found === null) continue;
        await requireDead(found, path, what);
        await removeIfStill(path, found);
      }
    } catch (error) {
      throw writeError(path, error);
    }
    throw new InputError(
      'LOCKED',
      `${printable(what)}: other processes take and leave ${printable(path)} all the time`,
    );
  }

  /** The same lock where its folder has got another name. */
  movedTo(path: string): ProcessLock {
    return new ProcessLock(path, this.content);
  }

  /** Removes the lock file, unless it is no longer this lock's. */
  async [Symbol.asyncDispose](): Promise<void> {
    if ((await readIfThere(this.path)) === this.content) await rm(this.path, { force: true });
  }
}

/** Makes the file with its whole content, unless there is one. */
async function create(path: string, content: string): Promise<boolean> {
  const beside = join(dirname(path), `.hpff-lock-${randomUUID()}`);
  await writeFile(beside, content, { flag: 'wx' });
  try {
    await link(beside, path);
    return true;
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'EEXIST') return false;
    if (!noLinks.has(code ?? '')) throw error;
  } finally {
    await rm(beside, { force: true });
  }
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock that was looked at, and puts back what another process has put in its place meanwhile. */
async function removeIfStill(path: string, looked: string): Promise<void> {
  const aside = join(dirname(path), `.hpff-lock-${randomUUID()}`);
  try {
    await rename(path, aside);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw error;
  }
  if ((await readIfThere(aside)) !== looked) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

async function requireDead(content: string, path: string, what: string): Promise<void> {
  const holder = parseHolder(content);
  const [of, file] = [printable(what), printable(path)];
  if (holder === null) throw new InputError('LOCKED', `${of}: ${file} names no process; remove it if none works there`);
  const { host, pid, started } = holder;
  if (host !== hostname()) {
    const problem = `process ${pid} on host ${printable(host, 80)} works there`;
    throw new InputError('LOCKED', `${of}: ${problem}; allowed: one at a time; if that has ended, remove ${file}`);
  }
  if (!isAlive(pid) || (await startOf(pid)) !== started) return;
  throw new InputError('LOCKED', `${of}: process ${pid} works there; allowed: one at a time`);
}

function parseHolder(content: string): Holder | null {
  try {
    const found = JSON.parse(content) as Partial<Holder> | null;
    const valid = typeof found?.host === 'string' && Number.isSafeInteger(found.pid) && found.pid! > 0;
    return valid ? (found as Holder) : null;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoCode(error) !== 'ESRCH'; // another user's lives, too
  }
}

/** Linux: which start of the machine, and when after it the process began. null of one that has died, even if its parent has not asked how yet. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before may hold anything
    return /^[ZX]/.test(fields[0]!) ? null : `${boot}/${fields[19]}`;
  } catch {
    return null;
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw error;
  }
}
