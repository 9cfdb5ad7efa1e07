/** A fingerprint of this program, so that machines with different ones do not train together: their bits could differ. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { version } from '../version.js';

let known: Promise<string> | undefined;

/** Version, and SHA-256 of every JavaScript or TypeScript file of hpff, its path included; e.g. `0.1.0 (5e0c…)`. */
export function fingerprint(): Promise<string> {
  return (known ??= hashOf(fileURLToPath(new URL('..', import.meta.url))));
}

async function hashOf(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const files = (await readdir(folder, { recursive: true })).filter(isProgram).sort();
  for (const file of files) {
    hash.update(`${file.split(path.sep).join('/')}\0`).update(await readFile(path.join(folder, file)));
  }
  return `${version} (${hash.digest('hex').slice(0, 16)})`;
}

const isProgram = (file: string): boolean => /(?<!\.d|\.test)\.[jt]s$/.test(file);
