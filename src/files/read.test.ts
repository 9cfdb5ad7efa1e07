import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../errors.js';
import { readFileBytes, readFileText } from './read.js';
import { sha256, sha256File } from './sha256.js';
import { readError } from './system-errors.js';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hpff-read-'));
  file = join(folder, 'a.bin');
  await writeFile(file, 'grüezi');
});
afterAll(() => rm(folder, { recursive: true }));

describe('readFileBytes', () => {
  it('reads a whole file', async () => {
    expect(Buffer.from(await readFileBytes(file)).toString()).toBe('grüezi');
    expect(await readFileBytes(file, 7)).toHaveLength(7);
    expect(await readFileText(file)).toBe('grüezi');
  });

  it.each([
    ['a missing file', () => join(folder, 'none'), 'FILE_MISSING', 'no such file or folder'],
    ['a folder', () => folder, 'FILE_IS_DIRECTORY', 'is a folder; a file is needed'],
    ['a path through a file', () => join(file, 'x'), 'FILE_UNREADABLE', 'part of the path is a file, not a folder'],
    ['a device', () => '/dev/null', 'FILE_NOT_REGULAR', 'is not a regular file'],
    ['a name that is too long', () => join(folder, 'x'.repeat(300)), 'FILE_UNREADABLE', 'the name is too long'],
    ['a zero byte', () => 'a\0b', 'FILE_UNREADABLE', 'a path cannot contain a zero byte'],
  ])('refuses %s', async (_, path, code, reason) => {
    for (const read of [readFileBytes, readFileText, sha256File]) {
      const error = await read(path()).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(InputError);
      expect(error).toMatchObject({ code });
      expect((error as InputError).message).toMatch(new RegExp(`^[^\\0\\n]+: .*${reason}$`));
    }
  });

  it('refuses a pipe instead of waiting for it', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(readFileBytes(pipe)).rejects.toMatchObject({ code: 'FILE_NOT_REGULAR' });
  });

  it('refuses links in a circle', async () => {
    const link = join(folder, 'link');
    await symlink(link, link);
    await expect(readFileBytes(link)).rejects.toThrow('the symbolic links go in a circle');
  });

  it('refuses a file that is larger than allowed', async () => {
    await expect(readFileBytes(file, 6)).rejects.toThrow(
      new InputError('FILE_TOO_LARGE', `${file}: has 7 bytes; allowed: at most 6`),
    );
  });

  it.skipIf(process.getuid?.() === 0)('refuses a file without permission', async () => {
    const secret = join(folder, 'secret');
    await writeFile(secret, '');
    await chmod(secret, 0);
    await expect(readFileBytes(secret)).rejects.toMatchObject({ code: 'FILE_NOT_PERMITTED' });
  });

  it('tells missing permission from other errors', () => {
    const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES', syscall: 'open' });
    expect(readError('a', denied)).toEqual(
      new InputError('FILE_NOT_PERMITTED', 'a: cannot be read: permission denied', { cause: denied }),
    );
    const odd = new RangeError('something else');
    expect(readError('a', odd)).toBe(odd);
  });
});

describe('sha256', () => {
  it('gives the digest of FIPS 180-2, appendix B.1', () => {
    expect(sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256(Buffer.from('abc'))).toBe(sha256('abc'));
  });

  it('is the same for a file, also one of many pieces', async () => {
    const large = join(folder, 'large');
    const bytes = Buffer.alloc(2 ** 21 + 5, 'hpff');
    await writeFile(large, bytes);
    expect(await sha256File(large)).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(await sha256File(file)).toBe(sha256('grüezi'));
  });
});
