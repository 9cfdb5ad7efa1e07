/** The images of parquet files, a row group at a time: those in use stay in memory, within a bound. */
import { InputError } from '../../errors.js';
import { printable } from '../../files/printable.js';
import type { Random } from '../../random.js';
import type { DatasetInfo, EncodedDataset, EncodedImage } from '../dataset.js';
import { invalid, MAX_GROUP_BYTES, type ParquetFile } from './file.js';
import { type PlacedGroup, windowedOrder } from './order.js';

/** Row groups that are shuffled together take at most this much. */
const WINDOW_BYTES = 2 ** 28;

interface FileGroup extends PlacedGroup {
  readonly file: ParquetFile;
  /** In its file. */
  readonly fileRow: number;
}

type Info = DatasetInfo & Pick<EncodedDataset, 'fingerprint'>;

export class ParquetImages implements EncodedDataset {
  readonly name: string;
  readonly split: 'train' | 'test';
  readonly classes: number;
  readonly count: number;
  readonly labels: Uint16Array;
  readonly fingerprint: string;
  private readonly groups: FileGroup[];
  /** Row groups in memory by number, the one used last at the end. */
  private readonly loaded = new Map<number, Promise<unknown[]>>();

  /** @throws InputError `PARQUET_GROUP` where a row group is too large */
  constructor(
    info: Info & { readonly labels: Uint16Array },
    files: readonly ParquetFile[],
    private readonly column: string,
    private readonly windowBytes = WINDOW_BYTES,
  ) {
    ({
      name: this.name,
      split: this.split,
      classes: this.classes,
      count: this.count,
      labels: this.labels,
      fingerprint: this.fingerprint,
    } = info);
    this.groups = files.flatMap((file) => placed(file, column));
    let firstRow = 0;
    this.groups.forEach((group, i) => {
      this.groups[i] = { ...group, firstRow };
      firstRow += group.rows;
    });
  }

  order(random: Random): Uint32Array {
    return windowedOrder(this.groups, this.windowBytes, random);
  }

  async read(index: number): Promise<EncodedImage> {
    const number = this.groupOf(index);
    const { file, firstRow, fileRow } = this.groups[number] as FileGroup;
    const row = index - firstRow;
    const value = (await this.load(number))[row];
    return { bytes: bytesOf(value, file, fileRow + row, this.column), where: whereOf(value, file, fileRow + row) };
  }

  private groupOf(index: number): number {
    let low = 0;
    let high = this.groups.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.groups[middle] as FileGroup).firstRow <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private load(number: number): Promise<unknown[]> {
    const { file, fileRow, rows } = this.groups[number] as FileGroup;
    const values = this.loaded.get(number) ?? file.read(this.column, fileRow, rows);
    this.loaded.delete(number);
    this.loaded.set(number, values);
    this.forget();
    return values;
  }

  /** Lets go of the groups used longest ago, as soon as the rest fill a window. */
  private forget(): void {
    let bytes = 0;
    for (const number of [...this.loaded.keys()].reverse()) {
      if (bytes > this.windowBytes) this.loaded.delete(number);
      bytes += (this.groups[number] as FileGroup).bytes;
    }
  }
}

function placed(file: ParquetFile, column: string): FileGroup[] {
  return file.groups(column).map(({ firstRow, rows, bytes }, i) => {
    if (bytes > MAX_GROUP_BYTES) {
      const found = `row group ${i} holds ${bytes} bytes of ${printable(column, 60)}`;
      throw new InputError('PARQUET_GROUP', `${printable(file.path)}: ${found}; allowed: at most ${MAX_GROUP_BYTES}`);
    }
    return { file, fileRow: firstRow, firstRow: 0, rows, bytes };
  });
}

/** The image in a cell: bytes, or an object with `bytes`. */
function bytesOf(value: unknown, file: ParquetFile, row: number, column: string): Uint8Array {
  const bytes = isImage(value) ? value.bytes : value;
  if (bytes instanceof Uint8Array) return bytes;
  const found = bytes == null ? 'no bytes' : `a value of type ${typeof bytes}`;
  throw invalid(file.path, `row ${row}: ${printable(column, 60)} holds ${found}; allowed: the bytes of an image`);
}

function whereOf(value: unknown, file: ParquetFile, row: number): string {
  const name = isImage(value) && typeof value.path === 'string' ? ` (${printable(value.path, 100)})` : '';
  return `${printable(file.path)}: row ${row}${name}`;
}

function isImage(value: unknown): value is { readonly bytes?: unknown; readonly path?: unknown } {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}
