/** Lowerings by the name that `--lowering` gives them. */
import { InputError } from '../errors.js';
import type { Lowering } from './lower.js';
import { portable } from './portable/index.js';

export const loweringNames = ['auto', 'portable'] as const;

export type LoweringName = (typeof loweringNames)[number];

/** `auto` is the fastest lowering that works on this device. @throws InputError for an unknown name */
export function selectLowering(name: string): Lowering {
  if (!loweringNames.includes(name as LoweringName)) {
    throw new InputError('LOWERING_UNKNOWN', `--lowering: found '${name}', allowed: ${loweringNames.join(', ')}`);
  }
  return portable;
}
