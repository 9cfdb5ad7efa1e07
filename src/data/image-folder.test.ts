import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encoded, writeTree } from '../../test/image-files.js';
import { InputError } from '../errors.js';
import { openDataset } from './open.js';

let root: string;
let png: Uint8Array;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hpff-folder-'));
  png = await encoded('png', 8, 8, 1);
});
afterEach(() => rm(root, { recursive: true }));

const open = (split: 'train' | 'test' = 'train') => openDataset('image-folder', split, { path: root, classes: 2 });

describe('image-folder', () => {
  it('takes sorted folders as classes and files within them as their images', async () => {
    await writeTree(root, {
      'train/zebra/1.JPEG': png,
      'train/ant/b/2.png': png,
      'train/ant/a.webp': png,
      'train/ant/.hidden': 'x',
      'train/.cache/x': 'x',
      'val/ant/1.jpg': png,
      'val/zebra/2.jpg': png,
    });
    const train = await open();
    expect(train).toMatchObject({ name: 'image-folder', split: 'train', classes: 2, count: 3 });
    expect([...train.labels]).toEqual([0, 0, 1]);
    expect([...(await open('test')).labels]).toEqual([0, 1]);
  });

  it('follows links, and passes over a test split without classes', async () => {
    await writeTree(root, { 'train/a/1.png': png, 'elsewhere/b/2.png': png, 'val/a/1.png': png, 'test/1.png': png });
    await symlink(join(root, 'elsewhere', 'b'), join(root, 'train', 'b'));
    await mkdir(join(root, 'val', 'b'));
    await symlink(join(root, 'elsewhere', 'b', '2.png'), join(root, 'val', 'b', '2.png'));
    expect([...(await open()).labels]).toEqual([0, 1]);
    expect([...(await open('test')).labels]).toEqual([0, 1]);
    await writeTree(root, { 'test/a/1.png': png, 'test/b/1.png': png, 'test/b/2.png': png });
    expect((await open('test')).count).toBe(3);
  });

  it('has a fingerprint of paths, sizes and classes', async () => {
    await writeTree(root, { 'train/a/1.png': png, 'train/b/2.png': png });
    const fingerprint = async () => ((await open()) as { fingerprint: string }).fingerprint;
    const before = await fingerprint();
    expect(before).toMatch(/^[0-9a-f]{64}$/);
    await writeFile(join(root, 'train/.note'), 'x');
    expect(await fingerprint()).toBe(before);
    await writeFile(join(root, 'train/b/2.png'), Buffer.concat([png, Buffer.alloc(1)]));
    const longer = await fingerprint();
    expect(longer).not.toBe(before);
    await rm(join(root, 'train/b/2.png'));
    await writeFile(join(root, 'train/b/3.png'), png);
    expect([before, longer]).not.toContain(await fingerprint());
  });

  it.each<[string, Record<string, string | null>, 'train' | 'test', string, RegExp]>([
    [
      'nothing',
      {},
      'train',
      'DATASET_MISSING',
      /^image-folder: .*: no folder train with a folder for each class there; it needs train\/<class>/,
    ],
    [
      'no test split',
      { 'train/a/1.png': '' },
      'test',
      'DATASET_MISSING',
      /no folder test or val or valid or validation/,
    ],
    [
      'images without classes',
      { 'train/1.png': '' },
      'train',
      'DATASET_MISSING',
      /no folder train with a folder for each class/,
    ],
    [
      'an empty class',
      { 'train/a/1.png': '', 'train/b': null },
      'train',
      'DATASET_EMPTY',
      /train\/b: holds no images$/,
    ],
    [
      'another file',
      { 'train/a/1.png': '', 'train/a/notes.txt': '' },
      'train',
      'IMAGE_NAME',
      /train\/a\/notes\.txt: is not named as an image; allowed: \.jpg/,
    ],
    ['another type', { 'train/a/1.gif': '' }, 'train', 'IMAGE_NAME', /1\.gif: is not named/],
    [
      'a class of its own in val',
      { 'train/a/1.png': '', 'val/a/1.png': '', 'val/b/1.png': '' },
      'test',
      'DATASET_CLASSES',
      /val: has a class b, unlike .*train; allowed: the same folders in both$/,
    ],
    [
      'a class missing in val',
      { 'train/a/1.png': '', 'train/b/1.png': '', 'val/b/1.png': '' },
      'test',
      'DATASET_CLASSES',
      /val: has no class a, unlike/,
    ],
  ])('refuses %s', async (_, files, split, code, message) => {
    await writeTree(root, files);
    const error: unknown = await open(split).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it('refuses broken links, links in a circle, and a folder that is not there', async () => {
    await writeTree(root, { 'train/a/1.png': png });
    await symlink(join(root, 'none'), join(root, 'train', 'a', '2.png'));
    await expect(open()).rejects.toMatchObject({ code: 'FILE_MISSING' });
    await rm(join(root, 'train', 'a', '2.png'));
    await symlink(join(root, 'train', 'a'), join(root, 'train', 'a', 'b'));
    await expect(open()).rejects.toMatchObject({ exitCode: 2 });
    await expect(openDataset('image-folder', 'train', { path: join(root, 'none'), classes: 2 })).rejects.toThrow(
      /no such folder/,
    );
    await expect(openDataset('image-folder', 'train', { classes: 2 })).rejects.toThrow(/give their folder by --data/);
  });

  it('says what to do where sharp is not installed', async () => {
    await writeTree(root, { 'train/a/1.png': png });
    vi.resetModules();
    vi.doMock('sharp', () => {
      throw new Error('Could not load the "sharp" module');
    });
    try {
      const fresh = await import('./open.js');
      const work = fresh.openDataset('image-folder', 'train', { path: root, classes: 2 });
      await expect(work).rejects.toMatchObject({ code: 'SHARP_MISSING', exitCode: 2 });
      await expect(fresh.openDataset('image-folder', 'train', { path: root, classes: 2 })).rejects.toThrow(
        /^image-folder: its images are decoded with the package sharp, which cannot be loaded \(.*\); install it: npm install sharp$/,
      );
      expect((await fresh.openDataset('digits', 'test', { classes: 10 })).count).toBe(360);
    } finally {
      vi.doUnmock('sharp');
      vi.resetModules();
    }
  });
});
