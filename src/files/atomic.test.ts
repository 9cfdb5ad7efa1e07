import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InputError, RunError } from '../errors.js';
import { ensureDirectory, removeLeftovers, removeTree, writeDirectoryAtomic, writeFileAtomic } from './atomic.js';
import { writeError } from './system-errors.js';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'hpff-atomic-'))));
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

const systemError = (code: string) => Object.assign(new Error(`${code}: from the test`), { code, syscall: 'write' });
const text = (path: string) => readFile(path, 'utf8');

/** Makes one method of every open file fail. */
async function breakFiles(method: 'writeFile' | 'sync' | 'chmod', code: string): Promise<void> {
  const handle = await open(folder);
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  vi.spyOn(prototype, method).mockRejectedValue(systemError(code));
}

describe('writeFileAtomic', () => {
  it('writes bytes, text and pieces', async () => {
    const path = join(folder, 'a');
    await writeFileAtomic(path, Uint8Array.of(104, 105));
    expect(await text(path)).toBe('hi');
    await writeFileAtomic(path, 'grüezi');
    expect(await text(path)).toBe('grüezi');
    await writeFileAtomic(path, [Buffer.from('one '), new Uint8Array(), Buffer.from('two')]);
    expect(await text(path)).toBe('one two');
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('keeps the permissions of the file it replaces', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    await chmod(path, 0o666); // wider than the umask would give
    await writeFileAtomic(path, 'new');
    expect((await stat(path)).mode & 0o777).toBe(0o666);
  });

  it('follows a link and leaves it a link', async () => {
    await writeFile(join(folder, 'real'), 'old');
    await symlink('real', join(folder, 'link'));
    await writeFileAtomic(join(folder, 'link'), 'new');
    expect(await text(join(folder, 'real'))).toBe('new');
  });

  it.each([
    ['no such folder', () => join(folder, 'none', 'a'), 'its folder does not exist'],
    ['a folder in its place', () => folder, 'is a folder; a file is to be written'],
    ['the name of a folder', () => join(folder, 'a/'), 'is a folder; a file is to be written'],
    ['a device', () => '/dev/null', 'is not a regular file'],
    ['a name that is too long', () => join(folder, 'x'.repeat(300)), 'the name is too long'],
    ['a zero byte', () => join(folder, 'a\0'), 'a path cannot contain a zero byte'],
  ])('refuses %s', async (_, path, reason) => {
    const error = await writeFileAtomic(path(), 'x').catch((error: unknown) => error);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code: 'OUTPUT_NOT_WRITABLE', exitCode: 2 });
    expect((error as InputError).message).toMatch(new RegExp(`^[^\\0\\n]+${reason}$`));
    expect(await readdir(folder)).toEqual([]);
  });

  it('refuses a path through a file, and leaves the file', async () => {
    await writeFile(join(folder, 'a'), 'old');
    await expect(writeFileAtomic(join(folder, 'a', 'b'), 'x')).rejects.toThrow(
      'part of the path is a file, not a folder',
    );
    expect(await text(join(folder, 'a'))).toBe('old');
  });

  it.skipIf(process.getuid?.() === 0)('refuses a write-protected file, and a write-protected folder', async () => {
    const path = join(folder, 'a');
    await writeFile(path, 'old', { mode: 0o444 });
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow('permission denied');
    await chmod(folder, 0o555);
    await expect(writeFileAtomic(join(folder, 'b'), 'x')).rejects.toThrow('permission denied');
    await chmod(folder, 0o755);
    expect(await text(path)).toBe('old');
  });

  it.each([
    ['writeFile', 'ENOSPC', 'DISK_FULL', InputError],
    ['sync', 'ENOSPC', 'DISK_FULL', InputError],
    ['chmod', 'EPERM', 'OUTPUT_NOT_WRITABLE', InputError],
    ['writeFile', 'EIO', 'WRITE_FAILED', RunError],
  ] as const)('leaves the old file and no litter when %s fails with %s', async (method, errno, code, kind) => {
    const path = join(folder, 'a');
    await writeFile(path, 'old');
    await breakFiles(method, errno);
    const error = await writeFileAtomic(path, 'new').catch((error: unknown) => error);
    vi.restoreAllMocks();
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code });
    expect(await text(path)).toBe('old');
    expect(await readdir(folder)).toEqual(['a']);
  });
});

describe('writeDirectoryAtomic', () => {
  const fill = async (temporary: string) => {
    await mkdir(join(temporary, 'modules'));
    await writeFile(join(temporary, 'modules', 'a.onnx'), 'model');
  };

  it('shows the folder only when it is complete', async () => {
    const target = join(folder, 'out');
    await writeDirectoryAtomic(target, async (temporary) => {
      await fill(temporary);
      expect(await readdir(folder)).not.toContain('out');
    });
    expect(await text(join(target, 'modules', 'a.onnx'))).toBe('model');
    expect(await readdir(folder)).toEqual(['out']);
  });

  it('takes over an empty folder and refuses any other', async () => {
    const target = join(folder, 'out');
    await mkdir(target);
    await writeDirectoryAtomic(target, fill);
    await expect(writeDirectoryAtomic(target, fill)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS', exitCode: 2 });
    await expect(writeDirectoryAtomic(join(target, 'modules', 'a.onnx'), fill)).rejects.toThrow('is a file; a folder');
    expect(await text(join(target, 'modules', 'a.onnx'))).toBe('model');
  });

  it('replaces a folder when asked to', async () => {
    const target = join(folder, 'out');
    await mkdir(target);
    await writeFile(join(target, 'old'), 'old');
    await writeDirectoryAtomic(target, fill, { replace: true });
    expect(await readdir(target)).toEqual(['modules']);
    expect(await readdir(folder)).toEqual(['out']);
  });

  it('leaves the old folder and no litter when filling or syncing fails', async () => {
    const target = join(folder, 'out');
    await mkdir(target);
    await writeFile(join(target, 'old'), 'old');
    const failing = async (temporary: string) => {
      await fill(temporary);
      throw new RangeError('from the test');
    };
    await expect(writeDirectoryAtomic(target, failing, { replace: true })).rejects.toThrow(RangeError);
    await breakFiles('sync', 'ENOSPC');
    await expect(writeDirectoryAtomic(target, fill, { replace: true })).rejects.toMatchObject({ code: 'DISK_FULL' });
    vi.restoreAllMocks();
    expect(await readdir(target)).toEqual(['old']);
    expect(await readdir(folder)).toEqual(['out']);
  });

  it('names the folder when its parent is missing', async () => {
    await expect(writeDirectoryAtomic(join(folder, 'none', 'out'), fill)).rejects.toThrow(
      new InputError(
        'OUTPUT_NOT_WRITABLE',
        `${join(folder, 'none', 'out')}: cannot be written: its folder does not exist`,
      ),
    );
  });
});

describe('folders', () => {
  it('are made with their parents, and removed with their contents', async () => {
    const deep = join(folder, 'a', 'b');
    await ensureDirectory(deep);
    await ensureDirectory(deep);
    expect((await stat(deep)).isDirectory()).toBe(true);
    await removeTree(join(folder, 'a'));
    await removeTree(join(folder, 'a'));
    expect(await readdir(folder)).toEqual([]);
    await writeFile(join(folder, 'f'), '');
    await expect(ensureDirectory(join(folder, 'f', 'x'))).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
    await expect(ensureDirectory(join(folder, 'f'))).rejects.toThrow('it exists already');
  });

  it('say why they cannot be made (needs the right to mount)', async ({ skip }) => {
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder], { stdio: 'ignore' }).status === 0;
    if (!mounted) return skip();
    try {
      for (const name of ['new', 'new/within']) {
        const path = join(folder, name);
        await expect(ensureDirectory(path)).rejects.toThrow(`${path}: cannot be written: the file system is read-only`);
      }
    } finally {
      spawnSync('umount', [folder]);
    }
  });

  it('are cleared of what killed writers left, and of nothing else', async () => {
    await mkdir(join(folder, '.hpff-0123456789abcdef.tmp', 'sub'), { recursive: true });
    await writeFile(join(folder, '.hpff-fedcba9876543210.tmp'), '');
    for (const name of ['.hpff-0123456789abcdef.old', '.hpff-1.tmp', 'weights'])
      await writeFile(join(folder, name), '');
    await removeLeftovers(folder);
    expect((await readdir(folder)).sort()).toEqual(['.hpff-0123456789abcdef.old', '.hpff-1.tmp', 'weights']);
  });
});

describe('writeError', () => {
  it.each([
    ['ENOSPC', 'DISK_FULL', 'no space left on the disk'],
    ['EDQUOT', 'DISK_FULL', 'the disk quota is used up'],
    ['EACCES', 'OUTPUT_NOT_WRITABLE', 'permission denied'],
    ['EROFS', 'OUTPUT_NOT_WRITABLE', 'the file system is read-only'],
    ['ENOTDIR', 'OUTPUT_NOT_WRITABLE', 'part of the path is a file, not a folder'],
  ])('turns %s into %s', (errno, code, reason) => {
    expect(writeError('out', systemError(errno))).toMatchObject({ code, message: `out: cannot be written: ${reason}` });
  });

  it('leaves other errors alone', () => {
    const error = new RangeError('x');
    expect(writeError('out', error)).toBe(error);
  });
});
