/** Text from bytes. */
import { InputError } from '../errors.js';
import { printable } from './printable.js';

/**
 * Decodes UTF-8 strictly; `where` names the source in errors.
 * @throws InputError `FILE_NOT_UTF8`
 */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new InputError('FILE_NOT_UTF8', `${printable(where)}: is not text in UTF-8`, { cause: error });
  }
}
