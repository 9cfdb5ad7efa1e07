/**
 * Types of image files that are decoded, told by their first bytes: nothing else reaches the decoder. An end is looked for too, since the
 * decoder reads no further than the part that is asked for.
 */
import { InputError } from '../errors.js';

interface ImageType {
  readonly name: string;
  readonly is: (start: string) => boolean;
  readonly isWhole: (bytes: Buffer) => boolean;
}

const types: readonly ImageType[] = [
  {
    name: 'JPEG',
    is: (start) => start.startsWith('\xff\xd8\xff'),
    isWhole: (bytes) => bytes.lastIndexOf('\xff\xd9', undefined, 'latin1') >= 0, // the marker "end of image"; more may follow
  },
  {
    name: 'PNG',
    is: (start) => start.startsWith('\x89PNG\r\n\x1a\n'),
    isWhole: (bytes) => bytes.lastIndexOf('IEND\xae\x42\x60\x82', undefined, 'latin1') >= 0,
  },
  {
    name: 'WebP',
    is: (start) => start.startsWith('RIFF') && start.startsWith('WEBP', 8),
    isWhole: (bytes) => bytes.readUInt32LE(4) + 8 <= bytes.length,
  },
];

/** Names of files that may hold images. */
export const IMAGE_NAME = /\.(?:jpe?g|png|webp)$/i;

/** @throws InputError `IMAGE_TYPE`, `IMAGE_TRUNCATED` */
export function checkImageFile(image: Uint8Array, where: string): void {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length);
  const start = bytes.toString('latin1', 0, 12);
  const type = types.find(({ is }) => is(start));
  if (type === undefined) {
    const found = bytes.length === 0 ? 'is empty' : `starts with the bytes ${bytes.toString('hex', 0, 4)}`;
    throw new InputError('IMAGE_TYPE', `${where}: ${found}; allowed: an image in JPEG, PNG or WebP`);
  }
  if (type.isWhole(bytes)) return;
  throw new InputError(
    'IMAGE_TRUNCATED',
    `${where}: ends at byte ${bytes.length}, before the end of its ${type.name} image`,
  );
}
