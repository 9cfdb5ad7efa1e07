/** A parquet file, read by hyparquet: its schema, row groups and columns. Strict about what hyparquet takes on trust. */
import type { FileHandle } from 'node:fs/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  type RowGroup,
  snappyUncompress,
} from 'hyparquet';
import { InputError } from '../../errors.js';
import { printable } from '../../files/printable.js';
import { withRegularFile } from '../../files/read.js';

/** Largest row group, in memory while its rows are used. */
export const MAX_GROUP_BYTES = 2 ** 30;
/** Largest page of a column once decompressed. */
const MAX_PAGE_BYTES = 2 ** 30;

export interface Group {
  readonly firstRow: number;
  readonly rows: number;
  /** Of the column that was asked for, in the file and decompressed: the larger. */
  readonly bytes: number;
}

export class ParquetFile {
  private constructor(
    readonly path: string,
    readonly bytes: number,
    private readonly metadata: FileMetaData,
  ) {}

  /** Reads what the file says of itself. @throws InputError `PARQUET_INVALID`, or as `withRegularFile` */
  static async open(path: string): Promise<ParquetFile> {
    const bytes = await withRegularFile(path, async (handle, size) => {
      await checkEnds(path, handle, size);
      return size;
    });
    const metadata = await asking(path, () => parquetMetadataAsync(bufferOf(path, bytes)));
    const file = new ParquetFile(path, bytes, metadata);
    file.checkRows();
    return file;
  }

  get rows(): number {
    return Number(this.metadata.num_rows);
  }

  /** Names of the columns, groups taken whole. */
  get columns(): string[] {
    const { schema } = this.metadata;
    const names: string[] = [];
    const root = schema[0]?.num_children ?? 0;
    for (let at = 1, seen = 0; seen < root && at < schema.length; seen++) {
      names.push(schema[at]?.name ?? '');
      at = afterElement(schema, at);
    }
    return names;
  }

  /** A value of the file's own metadata. */
  note(key: string): string | undefined {
    return this.metadata.key_value_metadata?.find((entry) => entry.key === key)?.value;
  }

  /** @param column its size counts; other columns are not read with it */
  groups(column: string): Group[] {
    let firstRow = 0;
    return this.metadata.row_groups.map((group) => {
      const rows = Number(group.num_rows);
      const found = { firstRow, rows, bytes: bytesOf(group, column) };
      firstRow += rows;
      return found;
    });
  }

  /**
   * The values of a column, one a row.
   * @throws InputError `PARQUET_INVALID`, `PARQUET_COMPRESSION`
   */
  async read(column: string, firstRow: number, rows: number): Promise<unknown[]> {
    const found = await asking(this.path, () =>
      parquetReadObjects({
        file: bufferOf(this.path, this.bytes),
        metadata: this.metadata,
        columns: [column],
        rowStart: firstRow,
        rowEnd: firstRow + rows,
        utf8: false,
        compressors,
      }),
    );
    if (found.length === rows) return found.map((row) => row[column] as unknown);
    throw invalid(this.path, `has ${found.length} values of column ${printable(column, 60)} in ${rows} rows`);
  }

  private checkRows(): void {
    const groups = this.metadata.row_groups.map((group) => Number(group.num_rows));
    const sum = groups.reduce((total, rows) => total + rows, 0);
    if (groups.every((rows) => Number.isSafeInteger(rows) && rows >= 0) && sum === this.rows) return;
    throw invalid(this.path, `says that it has ${this.rows} rows, but its row groups have ${sum}`);
  }
}

/** The index after a schema element and its children. */
function afterElement(schema: FileMetaData['schema'], at: number): number {
  let next = at + 1;
  for (let child = 0; child < (schema[at]?.num_children ?? 0) && next < schema.length; child++) {
    next = afterElement(schema, next);
  }
  return next;
}

function bytesOf(group: RowGroup, column: string): number {
  const sizes = group.columns
    .filter(({ meta_data }) => meta_data?.path_in_schema[0] === column)
    .map(({ meta_data }) =>
      Math.max(Number(meta_data?.total_uncompressed_size ?? 0), Number(meta_data?.total_compressed_size ?? 0)),
    );
  return sizes.reduce((sum, size) => sum + size, 0);
}

const MAGIC = 'PAR1';

async function checkEnds(path: string, handle: FileHandle, size: number): Promise<void> {
  if (size < 12) throw invalid(path, `ends at byte ${size}; a parquet file has at least 12 bytes`);
  for (const [place, at] of [['starts', 0] as const, ['ends', size - 4] as const]) {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, at);
    if (buffer.toString('latin1') === MAGIC) continue;
    throw invalid(
      path,
      `${place} with the bytes ${[...buffer].join(' ')}; a parquet file ${place} with 80 65 82 49 (PAR1)`,
    );
  }
}

/** What hyparquet reads from; the file is open while it does. Reads past the end are refused. */
function bufferOf(path: string, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    slice: (start, end = byteLength) => {
      const bytes = readRange(path, byteLength, start, end);
      // hyparquet reads ahead; where it then gives up for another reason, nobody waits for what it asked for, and a
      // failure that nobody waits for ends the process.
      bytes.catch(() => undefined);
      return bytes;
    },
  };
}

async function readRange(path: string, byteLength: number, start: number, end: number): Promise<ArrayBuffer> {
  const length = end - start;
  if (!(start >= 0 && length >= 0 && end <= byteLength && length <= MAX_GROUP_BYTES)) {
    throw invalid(path, `points to bytes ${start} to ${end} of its ${byteLength}`);
  }
  const bytes = new Uint8Array(length);
  await withRegularFile(path, async (handle) => {
    for (let filled = 0; filled < length;) {
      const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled);
      if (bytesRead === 0) throw new InputError('FILE_CHANGED', `${printable(path)}: became shorter while it was read`);
      filled += bytesRead;
    }
  });
  return bytes.buffer;
}

/** Decompression of pages, each to the size that it must have. */
const compressors: Compressors = {
  SNAPPY: (input, length) =>
    sized(length, () => {
      const output = new Uint8Array(length);
      snappyUncompress(input, output);
      return output;
    }),
  GZIP: (input, length) => sized(length, () => gunzipSync(input, { maxOutputLength: Math.max(1, length) })),
  BROTLI: (input, length) => sized(length, () => brotliDecompressSync(input, { maxOutputLength: Math.max(1, length) })),
};

function sized(length: number, decompress: () => Uint8Array): Uint8Array {
  if (!(length >= 0 && length <= MAX_PAGE_BYTES))
    throw new Error(`a page says that it decompresses to ${length} bytes`);
  return decompress();
}

/** @throws InputError for whatever hyparquet throws */
async function asking<T>(path: string, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const codec = /unsupported compression codec: (\w+)/i.exec(reason)?.[1];
    if (codec !== undefined) {
      const allowed = 'SNAPPY, GZIP, BROTLI or none: write the files anew';
      throw new InputError(
        'PARQUET_COMPRESSION',
        `${printable(path)}: is compressed with ${codec}; allowed: ${allowed}`,
      );
    }
    throw invalid(path, `is damaged or of an unknown kind: ${printable(reason.replace(/\s+/g, ' '), 200)}`, error);
  }
}

export function invalid(path: string, problem: string, cause?: unknown): InputError {
  return new InputError('PARQUET_INVALID', `${printable(path)}: ${problem}`, cause === undefined ? {} : { cause });
}
