/** What reader and writer of safetensors files must agree on. */
import type { JsonValue } from '../json.js';

/** The header's length comes first, in 8 bytes, little-endian. */
export const LENGTH_BYTES = 8;
/** The format's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;
export const MAX_TENSORS = 100_000;
export const MAX_RANK = 32;
/** The header's one key that is not a tensor. */
export const METADATA = '__metadata__';

export type JsonObject = Record<string, JsonValue>;

/** Whether this is a list of whole numbers from 0 to 2^53 - 1: a shape or a span. */
export function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0 && !Object.is(item, -0));
}

/** Whether the text holds no half of a surrogate pair, which UTF-8 cannot express. */
export function isWellFormed(text: string): boolean {
  return !/\p{Cs}/u.test(text);
}
