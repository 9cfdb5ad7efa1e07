/** Checking class labels as they come from files. */
import { InputError } from '../errors.js';

/**
 * Refuses labels that are no class.
 * @param place where label i is, for the error: file and byte
 * @throws InputError `DATASET_LABEL`
 */
export function checkLabels(labels: Uint8Array, classes: number, place: (i: number) => string): void {
  const wrong = labels.findIndex((label) => label >= classes);
  if (wrong < 0) return;
  throw new InputError('DATASET_LABEL', `${place(wrong)}: label ${labels[wrong]}; allowed: 0 to ${classes - 1}`);
}
