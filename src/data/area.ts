/** Which part of an image is taken, and to what size: the arithmetic of random resized crops and of centre crops. */
import type { Random } from '../random.js';
import type { DataConfig } from '../recipe/types.js';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A rectangle of whole pixels. */
export interface Area extends Size {
  readonly left: number;
  readonly top: number;
}

type ResizedCrop = NonNullable<DataConfig['augment']['resizedCrop']>;

const ATTEMPTS = 10;

/**
 * A random part of an image, as torchvision's RandomResizedCrop draws it (after Szegedy et al., "Going deeper with convolutions",
 * 2015, section 6): share of the area uniform in `scale`, logarithm of width over height uniform in `ratio`, place uniform. If ten
 * draws do not fit into the image, the largest part in its centre whose ratio is allowed.
 */
export function randomArea({ width, height }: Size, { scale, ratio }: ResizedCrop, random: Random): Area {
  const [narrowest, widest] = [Math.log(ratio[0]), Math.log(ratio[1])];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const pixels = width * height * (scale[0] + random.uniform() * (scale[1] - scale[0]));
    const aspect = Math.exp(narrowest + random.uniform() * (widest - narrowest));
    const part = { width: Math.round(Math.sqrt(pixels * aspect)), height: Math.round(Math.sqrt(pixels / aspect)) };
    if (part.width < 1 || part.height < 1 || part.width > width || part.height > height) continue;
    return { ...part, left: random.int(width - part.width + 1), top: random.int(height - part.height + 1) };
  }
  return centre({ width, height }, withRatio({ width, height }, ratio));
}

function withRatio({ width, height }: Size, [narrowest, widest]: readonly [number, number]): Size {
  const aspect = width / height;
  if (aspect < narrowest) return { width, height: Math.max(1, Math.round(width / narrowest)) };
  if (aspect > widest) return { width: Math.max(1, Math.round(height * widest)), height };
  return { width, height };
}

/** The part of that size in the middle; an odd pixel is left out at the far side. */
export function centre(image: Size, { width, height }: Size): Area {
  return { width, height, left: Math.floor((image.width - width) / 2), top: Math.floor((image.height - height) / 2) };
}

/** The size of an image whose shorter side is made `shorter`. */
export function resized({ width, height }: Size, shorter: number): Size {
  return width <= height
    ? { width: shorter, height: Math.max(shorter, Math.floor((shorter * height) / width)) }
    : { width: Math.max(shorter, Math.floor((shorter * width) / height)), height: shorter };
}
