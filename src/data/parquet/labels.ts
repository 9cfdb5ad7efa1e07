/** Labels of parquet files, and the classes that Hugging Face's own note in the file tells. */
import { InputError } from '../../errors.js';
import { printable, quoted } from '../../files/printable.js';
import { decodeJson } from '../../files/json.js';
import type { ParquetFile } from './file.js';

/** Stands for a label that is not told. */
const UNKNOWN = -1;

/**
 * The labels of all rows; null where none is told (all are -1).
 * @param classes labels are 0 … classes-1
 * @throws InputError `DATASET_LABEL`, or as `ParquetFile.read`
 */
export async function readLabels(
  files: readonly ParquetFile[],
  column: string,
  classes: number,
): Promise<Uint16Array | null> {
  const labels = new Uint16Array(files.reduce((sum, { rows }) => sum + rows, 0));
  let at = 0;
  let unknown: InputError | null = null;
  for (const file of files) {
    for (const [row, value] of (await file.read(column, 0, file.rows)).entries()) {
      const label = typeof value === 'bigint' ? Number(value) : value;
      if (typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < classes) labels[at++] = label;
      else if (label !== UNKNOWN || at > 0) throw refusal(file, row, column, value, classes);
      else unknown ??= refusal(file, row, column, value, classes);
    }
  }
  if (unknown !== null && at > 0) throw unknown;
  return unknown === null ? labels : null;
}

function refusal(file: ParquetFile, row: number, column: string, value: unknown, classes: number): InputError {
  const isPlain = ['bigint', 'number', 'boolean'].includes(typeof value) || value == null;
  const found = isPlain ? String(value) : typeof value === 'string' ? quoted(value, 60) : 'a list or a group';
  const where = `${printable(file.path)}: row ${row}: ${printable(column, 60)} is ${found}`;
  return new InputError('DATASET_LABEL', `${where}; allowed: an integer from 0 to ${classes - 1}`);
}

/** Names of the classes, in order; undefined where the file does not tell them. */
export function classNames(file: ParquetFile, column: string): string[] | undefined {
  const text = file.note('huggingface');
  if (text === undefined) return undefined;
  const note = decodeJson(Buffer.from(text), `${file.path}: metadata huggingface`);
  const names = at(at(at(at(note, 'info'), 'features'), column), 'names');
  const isList = Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string');
  return isList ? names : undefined;
}

function at(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}
