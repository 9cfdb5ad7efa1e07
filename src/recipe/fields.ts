/**
 * Building blocks of the recipe's schema. Every one carries, as its error text, what is allowed in its place, so that a
 * message never needs more than the path and the value found.
 */
import { z } from 'zod';

/** An integer from `min` to `max`, both included. */
export function integer(min: number, max: number) {
  const allowed = `an integer from ${min} to ${max}`;
  return z.int({ error: allowed }).min(min, { error: allowed }).max(max, { error: allowed });
}

/** A finite number ≥ 0. */
export function nonNegative() {
  const allowed = 'a number ≥ 0';
  return z.number({ error: allowed }).min(0, { error: allowed });
}

/** A finite number > 0. */
export function positive() {
  const allowed = 'a number > 0';
  return z.number({ error: allowed }).gt(0, { error: allowed });
}

/** A number in [0, 1), as decay rates are. */
export function fraction() {
  const allowed = 'a number ≥ 0 and < 1';
  return z.number({ error: allowed }).min(0, { error: allowed }).lt(1, { error: allowed });
}

export function bool() {
  return z.boolean({ error: 'true or false' });
}

/** One of the given strings. */
export function choice<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: listed(values) });
}

/** An object with these keys and no other; `allowed` says what stands in its place where something else is found. */
export function object<T extends z.core.$ZodLooseShape>(shape: T, allowed = 'an object') {
  const keys = Object.keys(shape).join(', ');
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? keys : allowed) });
}

/** As `object`, or null. */
export function objectOrNull<T extends z.core.$ZodLooseShape>(shape: T) {
  return object(shape, 'an object or null').nullable();
}

/** One of several objects, told apart by their `type`. */
export function typed<const T extends readonly [z.core.$ZodTypeDiscriminable, ...z.core.$ZodTypeDiscriminable[]]>(
  types: readonly string[],
  options: T,
) {
  return z.discriminatedUnion('type', options, {
    error: (issue) => (issue.code === 'invalid_union' ? listed(types) : 'an object'),
  });
}

/** `"a", "b" or "c"` */
export function listed(values: readonly string[]): string {
  const quoted = values.map((value) => `"${value}"`);
  const last = quoted.pop() ?? '';
  return quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`;
}
