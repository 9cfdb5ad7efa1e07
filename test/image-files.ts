/** Image files for tests, made by sharp. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';

/** A colour gradient of its own for each number: 8-bit RGB, pixel by pixel. */
export function gradient(width: number, height: number, number: number): Uint8Array {
  return Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const pixel = Math.floor(i / 3);
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    return [40 * number + 3 * x, 90 + 5 * y, 10 * number + x + y][i % 3]! % 256;
  });
}

export async function encoded(
  format: 'jpeg' | 'png' | 'webp',
  width: number,
  height: number,
  number: number,
): Promise<Uint8Array> {
  const image = sharp(gradient(width, height, number), { raw: { width, height, channels: 3 } });
  return Uint8Array.from(await image.toFormat(format, format === 'webp' ? { lossless: true } : {}).toBuffer());
}

/** Writes files, making their folders; `null` stands for a folder. */
export async function writeTree(
  root: string,
  files: Readonly<Record<string, Uint8Array | string | null>>,
): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(content === null ? join(root, path) : dirname(join(root, path)), { recursive: true });
    if (content !== null) await writeFile(join(root, path), content);
  }
}
