/** JSON of which there is one form for all values that say the same. */

/** JSON with the keys of objects in order. */
export const canonicalJson = (value: unknown): string => JSON.stringify(value, sortKeys);

/** Whether two values are the same in JSON, whatever the order of keys. */
export const sameJson = (a: unknown, b: unknown): boolean => canonicalJson(a) === canonicalJson(b);

/** A `JSON.stringify` replacer that puts the keys of objects in order. */
function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
