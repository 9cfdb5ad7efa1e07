/** Types of image files that are decoded, told by their first bytes: nothing else reaches the decoder. */
import { InputError } from '../errors.js';

const types: readonly { readonly name: string; readonly is: (start: string) => boolean }[] = [
  { name: 'JPEG', is: (start) => start.startsWith('\xff\xd8\xff') },
  { name: 'PNG', is: (start) => start.startsWith('\x89PNG\r\n\x1a\n') },
  { name: 'WebP', is: (start) => start.startsWith('RIFF') && start.startsWith('WEBP', 8) },
];

/** Names of files that may hold images. */
export const IMAGE_NAME = /\.(?:jpe?g|png|webp)$/i;

/** @throws InputError `IMAGE_TYPE` */
export function checkImageType(bytes: Uint8Array, where: string): void {
  const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (types.some(({ is }) => is(start))) return;
  const found = bytes.length === 0 ? 'is empty' : `starts with the bytes ${hex(bytes.subarray(0, 4))}`;
  throw new InputError('IMAGE_TYPE', `${where}: ${found}; allowed: an image in JPEG, PNG or WebP`);
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
