/** Hugging Face data sets in parquet files: a column of encoded images and a column of labels. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { InputError } from '../../errors.js';
import { printable, quoted } from '../../files/printable.js';
import type { DataConfig } from '../../recipe/types.js';
import type { EncodedDataset } from '../dataset.js';
import { requireDecoder } from '../decode.js';
import { ParquetFile } from './file.js';
import { findFiles, splitNames } from './find.js';
import { classNames, readLabels } from './labels.js';
import { ParquetImages } from './images.js';

const NAME = 'parquet';
const LAYOUT = 'it needs train-*.parquet and test-*.parquet (or validation-*), there or in its folder data';

type Columns = NonNullable<DataConfig['columns']>;

/**
 * Opens one split. For the test split `test` counts, or `validation` where `test` has no labels. Labels and sizes are read; images are read a
 * row group at a time when they are needed.
 *
 * The fingerprint covers names and sizes of the files and all labels, not the images.
 *
 * @param classes of the network; files that name their classes must have as many
 * @throws InputError `DATASET_MISSING`, `DATASET_EMPTY`, `DATASET_LABEL`, `PARQUET_COLUMN`, `SHARP_MISSING`, or as `ParquetFile`
 */
export async function openParquet(
  root: string,
  split: 'train' | 'test',
  columns: Columns,
  classes: number,
): Promise<EncodedDataset> {
  await requireDecoder(NAME);
  let withoutLabels: string | null = null;
  for (const name of splitNames[split]) {
    const paths = await findFiles(root, name);
    if (paths.length === 0) continue;
    const files: ParquetFile[] = [];
    for (const path of paths) files.push(await openFile(path, columns));
    const count = classNames(files[0] as ParquetFile, columns.label)?.length ?? classes;
    const labels = await readLabels(files, columns.label, count);
    if (labels === null) withoutLabels ??= paths[0] as string;
    else return build(files, split, columns, count, labels);
  }
  const at = `${NAME}: ${printable(root)}`;
  if (withoutLabels !== null) {
    throw new InputError('DATASET_LABEL', `${printable(withoutLabels)}: all labels are -1; allowed: integers from 0`);
  }
  throw new InputError('DATASET_MISSING', `${at}: no files ${splitNames[split][0]}-*.parquet; ${LAYOUT}`);
}

async function openFile(path: string, columns: Columns): Promise<ParquetFile> {
  const file = await ParquetFile.open(path);
  for (const key of ['image', 'label'] as const) {
    if (file.columns.includes(columns[key])) continue;
    const found = `has no column ${quoted(columns[key], 60)}, but ${printable(file.columns.join(', '), 200)}`;
    throw new InputError('PARQUET_COLUMN', `${printable(path)}: ${found}; set "data": {"columns": {"${key}": …}}`);
  }
  return file;
}

function build(
  files: readonly ParquetFile[],
  split: 'train' | 'test',
  columns: Columns,
  classes: number,
  labels: Uint16Array,
): EncodedDataset {
  if (labels.length === 0) {
    throw new InputError('DATASET_EMPTY', `${printable((files[0] as ParquetFile).path)}: has no rows`);
  }
  const hash = createHash('sha256').update(`${NAME}\n`);
  for (const { path, bytes } of files) hash.update(JSON.stringify([basename(path), bytes, columns]));
  const fingerprint = hash.update(labels).digest('hex');
  return new ParquetImages(
    { name: NAME, split, classes, count: labels.length, labels, fingerprint },
    files,
    columns.image,
  );
}
