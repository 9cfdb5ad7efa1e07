/** Names and shapes from a model as they appear in messages: a file may hold any text, at any length. */
import { quoted } from '../files/printable.js';

const MAX_NAME = 100;
const MAX_RANK = 8;

export function quote(name: string): string {
  return quoted(name, MAX_NAME);
}

/** E.g. `["N", 3, 32, 32]`; a dimension that is not known is `?`. */
export function quoteShape(shape: readonly (number | string | null)[]): string {
  const dims = shape.slice(0, MAX_RANK).map((dim) => (typeof dim === 'string' ? quote(dim) : (dim ?? '?')));
  return `[${dims.join(', ')}${shape.length > MAX_RANK ? ', …' : ''}]`;
}
