import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../errors.js';
import { externalReader } from './external.js';
import { readModel } from './read.js';

const { ModelProto } = onnxProto.onnx;

/** A folder that holds the model's folder, so that there is something outside to reach for. */
let outside: string;
let folder: string;

beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), 'hpff-external-'));
  folder = join(outside, 'model');
  mkdirSync(join(folder, 'data'), { recursive: true });
  writeFileSync(join(outside, 'secret.bin'), new Uint8Array(16));
  writeFileSync(
    join(folder, 'data', 'w.bin'),
    Uint8Array.from({ length: 16 }, (_, index) => index),
  );
});

afterEach(() => rmSync(outside, { recursive: true }));

function read(location: string, offset = 0, length = 8): Uint8Array {
  return externalReader(folder)({ location, offset, length, tensor: 'w' });
}

function refusal(location: string, offset?: number, length?: number): string {
  try {
    read(location, offset, length);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.code).toBe('ONNX_EXTERNAL_DATA');
    expect(error.message).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]+$/u);
    return error.message;
  }
  throw new Error(`${location} was read`);
}

describe('externalReader', () => {
  it('reads the declared part of a file in the folder or below', () => {
    expect(read('data/w.bin', 4, 3)).toEqual(Uint8Array.of(4, 5, 6));
    expect(read('./data//w.bin', 15, 1)).toEqual(Uint8Array.of(15));
    expect(read('data/w.bin', 16, 0)).toEqual(new Uint8Array(0));
  });

  it.each([
    ['/etc/hostname', 'an absolute path, must be relative to the folder of the model'],
    ['C:\\weights.bin', 'an absolute path, must be relative to the folder of the model'],
    ['\\\\server\\weights.bin', 'an absolute path, must be relative to the folder of the model'],
    ['../secret.bin', "'..' leads out of the folder of the model"],
    ['data/../../secret.bin', "'..' leads out of the folder of the model"],
    ['data/../data/w.bin', "'..' leads out of the folder of the model"],
    ['data\\w.bin', "the location holds a backslash; folders are separated by '/'"],
    ['data/w.bin\0', 'the location holds a NUL character'],
    ['', 'the location names no file'],
    ['.', 'the location names no file'],
    ['data', 'it is not a plain file'],
    ['data/w.bin/w.bin', '"w.bin" is not a folder'],
  ])('refuses the location %j', (location, reason) => {
    expect(refusal(location)).toMatch(new RegExp(`^external data of tensor "w" in ".*": `));
    expect(refusal(location).endsWith(reason)).toBe(true);
  });

  it('refuses a file that is not there', () => {
    expect(refusal('none.bin')).toMatch(/none\.bin does not exist$/);
    expect(refusal('none/w.bin')).toMatch(/none does not exist$/);
    expect(refusal('x'.repeat(300))).toMatch(/cannot be read: ENAMETOOLONG$/);
  });

  it('refuses a file shorter than declared', () => {
    expect(refusal('data/w.bin', 12, 8)).toMatch(/bytes 12 to 20 are declared, the file has 16$/);
    expect(refusal('data/w.bin', 2 ** 52, 8)).toMatch(/bytes 4503599627370496 to 4503599627370504 are declared/);
  });

  it('refuses more than one buffer holds before it looks for the file', () => {
    expect(refusal('none.bin', 0, 2 ** 40)).toMatch(
      /1099511627776 bytes are more than the 4294967295 that can be read$/,
    );
  });

  it('refuses symbolic links, to files and to folders on the way, wherever they lead', () => {
    symlinkSync(join(outside, 'secret.bin'), join(folder, 'link.bin'));
    symlinkSync('data', join(folder, 'linked'));
    expect(refusal('link.bin')).toMatch(/link\.bin is a symbolic link/);
    expect(refusal('linked/w.bin')).toMatch(/linked is a symbolic link/);
  });

  it('refuses hard links', () => {
    linkSync(join(outside, 'secret.bin'), join(folder, 'hard.bin'));
    expect(refusal('hard.bin')).toMatch(/the file has 2 hard links, so it may belong to another folder; copy it$/);
  });

  it.skipIf(process.platform === 'win32')('refuses a pipe without waiting for its writer', () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect(refusal('pipe')).toMatch(/it is not a plain file$/);
  });
});

describe('readModel', () => {
  function writeModel(location: string): string {
    const externalData = [
      { key: 'location', value: location },
      { key: 'offset', value: '8' },
      { key: 'length', value: '8' },
    ];
    const initializer = [{ name: 'w', dataType: 1, dims: [2], dataLocation: 1, externalData }];
    const path = join(folder, 'm.onnx');
    writeFileSync(path, ModelProto.encode({ irVersion: 8, graph: { initializer } }).finish());
    return path;
  }

  it('reads external data from the folder of the model', async () => {
    const model = await readModel(writeModel('data/w.bin'));
    const bytes = Uint8Array.of(8, 9, 10, 11, 12, 13, 14, 15);
    expect(model.graph.initializers).toEqual([{ name: 'w', dtype: 'float32', shape: [2], bytes }]);
  });

  it('refuses external data outside that folder', async () => {
    await expect(readModel(writeModel('../secret.bin'))).rejects.toThrow(InputError);
  });

  it('names a file that is not there', async () => {
    await expect(readModel(join(folder, 'none.onnx'))).rejects.toThrow(/none\.onnx: no such file/);
  });
});
