/** Numbers in words. */

/** `1 step`, `2 steps`. */
export const counted = (count: number, unit: string): string => `${count} ${unit}${count === 1 ? '' : 's'}`;
