/** Where two recipes differ, for a message. */

export interface Difference {
  /** e.g. `optimizer.learningRate` */
  readonly path: string;
  /** Values as JSON; `nothing` where one side has none. */
  readonly before: string;
  readonly now: string;
}

/** The first difference of two values that differ. */
export function firstDifference(before: unknown, now: unknown, path = ''): Difference {
  if (isPlain(before) && isPlain(now)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
      if (JSON.stringify(before[key]) === JSON.stringify(now[key])) continue;
      return firstDifference(before[key], now[key], path === '' ? key : `${path}.${key}`);
    }
  }
  return { path, before: JSON.stringify(before) ?? 'nothing', now: JSON.stringify(now) ?? 'nothing' };
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
