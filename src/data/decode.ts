/** Decoding images with sharp, on libuv's threads: the only place that knows it. */
import { availableParallelism } from 'node:os';
import PQueue from 'p-queue';
import type { Sharp, SharpOptions } from 'sharp';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { type Area, centre, resized, type Size } from './area.js';
import type { EncodedImage } from './dataset.js';
import { checkImageFile } from './image-type.js';

/** What is to become of an image. */
export interface Target extends Size {
  /** 1: grey, 3: colour. */
  readonly channels: 1 | 3;
  /** Draws the part that is resized to the target, given the image's size; or the shorter side before its centre is cut out. */
  readonly part: ((image: Size) => Area) | number;
}

type SharpFactory = (input: Uint8Array, options?: SharpOptions) => Sharp;

/** libuv's default; of its threads one is left to ONNX Runtime and one to files. */
const DEFAULT_POOL = 4;
const pool = Number(process.env['UV_THREADPOOL_SIZE']) || DEFAULT_POOL;

/** Images that are decoded at once, in the whole process. */
const decoding = new PQueue({ concurrency: Math.max(1, Math.min(availableParallelism(), pool - 2)) });

/** How many images are worth asking for at once. */
export const decodesAtOnce = decoding.concurrency + 1;

/** Most pixels of an image: more than any photograph has, less than fills the memory. */
const MAX_PIXELS = 2 ** 27;

/** As sharp says them; more are called damage. */
const options: SharpOptions = {
  failOn: 'error',
  limitInputPixels: MAX_PIXELS,
  ignoreIcc: true, // as the tools do that published networks were trained with
};

/**
 * Loads sharp, which is an optional dependency.
 * @param dataset that needs it, for the error
 * @throws InputError `SHARP_MISSING`
 */
export async function requireDecoder(dataset: string): Promise<void> {
  try {
    await loadSharp();
  } catch (error) {
    const reason = printable(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error), 120);
    const problem = `${dataset}: its images are decoded with the package sharp, which cannot be loaded (${reason})`;
    throw new InputError('SHARP_MISSING', `${problem}; install it: npm install sharp`, { cause: error });
  }
}

/**
 * Decodes an image, as 8-bit sRGB or grey: transparency is dropped, and colour profiles and the camera's orientation are not heeded,
 * as in torchvision. Resizing is bilinear, over all pixels that an output pixel covers.
 * @returns height × width × channels bytes, pixel by pixel
 * @throws InputError `IMAGE_TYPE`, `IMAGE_TRUNCATED`, `IMAGE_UNDECODABLE`, with the image's name
 */
export async function decodeImage({ bytes, where }: EncodedImage, target: Target): Promise<Uint8Array> {
  checkImageFile(bytes, where);
  return decoding.add(async () => {
    const sharp = await loadSharp();
    try {
      const { width, height } = await sharp(bytes, options).metadata();
      return await pixelsOf(sharp(bytes, options), { width, height }, target);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InputError) throw error;
      throw new InputError('IMAGE_UNDECODABLE', `${where}: cannot be decoded: ${reasonOf(error)}`, { cause: error });
    }
  });
}

async function pixelsOf(image: Sharp, size: Size, { width, height, channels, part }: Target): Promise<Uint8Array> {
  const shape = { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false } as const;
  if (typeof part === 'number') {
    const whole = resized(size, part);
    image.resize({ ...whole, ...shape }).extract(centre(whole, { width, height }));
  } else {
    image.extract(part(size)).resize({ width, height, ...shape });
  }
  const { data, info } = await image
    .removeAlpha()
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (data.length === width * height * channels) return data;
  throw new Error(
    `gives ${info.width} × ${info.height} × ${info.channels} bytes, not ${width} × ${height} × ${channels}`,
  );
}

let loaded: Promise<SharpFactory> | undefined;

function loadSharp(): Promise<SharpFactory> {
  loaded ??= import('sharp').then((module) => module.default);
  return loaded;
}

function reasonOf(error: Error): string {
  return printable(error.message.replace(/\s+/g, ' ').trim(), 200);
}
