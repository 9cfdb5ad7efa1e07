/**
 * What normalisation passes over: blocked maps, and plain maps of one image. Those hold each channel in one piece, which the blocked kernels can read as a
 * block of channels that have the same statistics: [1, C, H, W] is, byte for byte, a blocked [1, C·b, H', W'] with H'·W'·b = H·W.
 */
import type { Value } from '../../graph/index.js';
import { mapShape, type BlockedEmitter, type MapShape } from './layout.js';
import type { Absorbed, BlockedWriter } from './writer.js';

/** A map's layout, and passes over maps in it. Vectors hold one number for each stored channel. */
export interface NormMap {
  readonly stored: number;
  /** Name of a value of this shape, as the kernels read it. */
  read(value: Value): string;
  /** Gives a value its name, as the kernels wrote it. */
  write(value: Value, name: string): void;
  /** The same for a result that takes a ReLU, and, where it is blocked, a sum, if that is what reads it. */
  defer(value: Value, write: (extra: Absorbed) => string): void;
  /** Notes that a map, as written, is `unscaled` times `scale` for those who can multiply elsewhere. */
  noteUnscaled(map: string, unscaled: string, scale: string): void;
  pad(vector: string): string;
  cut(vector: string): string;
  mean(map: string): string;
  productMean(a: string, b: string): string;
  /** scale·map + shift (+ sum), as BlockedEmitter.affine. */
  affine(map: string, scale: string, shift: string, extra?: Absorbed): string;
}

/** How to pass over maps of x's shape; null where the portable lowering has to. */
export function normMap(writer: BlockedWriter, x: Value): NormMap | null {
  const shape = mapShape(x);
  if (!shape) return null;
  if (writer.isBlocked(x)) return blockedMap(writer, shape);
  const isWhole = shape.batch === 1 && (shape.height * shape.width) % writer.blocked.block === 0;
  return isWhole ? oneImage(writer, shape) : null;
}

function blockedMap(writer: BlockedWriter, shape: MapShape): NormMap {
  const { blocked } = writer;
  return {
    stored: blocked.padded(shape.channels),
    read: (value) => writer.asBlocked(value),
    write: (value, name) => writer.setBlocked(value, name),
    defer: (value, write) => writer.defer(value, { absorbs: ['sum', 'relu'], write }),
    noteUnscaled: (map, name, scale) => writer.emit.noteUnscaled(map, { name, scale }),
    pad: (vector) => blocked.padVector(vector, shape.channels),
    cut: (vector) => blocked.cutVector(vector, shape.channels),
    mean: (map) => blocked.channelMean(map, shape),
    productMean: (a, b) => blocked.channelProductMean(a, b, shape),
    affine: (map, scale, shift, extra) => blocked.affine(map, shape, scale, shift, extra),
  };
}

/** Rows that such a map is read in, where they come out even: the kernels give threads whole rows. */
const ROWS = 8;

function oneImage(writer: BlockedWriter, { channels, height, width }: MapShape): NormMap {
  const { blocked, emit } = writer;
  const positions = (height * width) / blocked.block;
  const rows = positions % ROWS === 0 ? ROWS : 1;
  const lanes: MapShape = { batch: 1, channels: channels * blocked.block, height: rows, width: positions / rows };
  const toPlain = (map: string): string => blocked.reshape(map, [1, channels, height, width]);
  const spread = (vector: string): string => spreadVector(blocked, vector, channels);
  const fold = (means: string): string =>
    emit.op('ReduceMean', [blocked.reshape(means, [channels, blocked.block])], { axes: [1], keepdims: 0 });
  return {
    stored: channels,
    read: (value) =>
      writer.once(value, 'lanes', () =>
        blocked.reshape(writer.plain(value), [1, lanes.channels, lanes.height, lanes.width]),
      ),
    write: (value, name) => {
      writer.setPlain(value, toPlain(name));
      writer.once(value, 'lanes', () => name);
    },
    defer: (value, write) => writer.deferPlain(value, (extra) => toPlain(write(extra))),
    // Who reads the map in its own shape cannot read the other.
    noteUnscaled: () => undefined,
    pad: (vector) => vector,
    cut: (vector) => vector,
    mean: (map) => fold(blocked.channelMean(map, lanes)),
    productMean: (a, b) => fold(blocked.channelProductMean(a, b, lanes)),
    affine: (map, scale, shift, extra) => blocked.affine(map, lanes, spread(scale), spread(shift), extra),
  };
}

/** Each entry of [C] as often as a block has channels: [C·b]. */
function spreadVector({ emit, block }: BlockedEmitter, vector: string, channels: number): string {
  const entries = Array.from({ length: channels * block }, (_, lane) => Math.floor(lane / block));
  return emit.op('Gather', [vector, emit.ints(entries)], { axis: 0 });
}
