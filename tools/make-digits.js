/**
 * Makes data/digits/ from scikit-learn's copy of the UCI optical digits. Needs the file sklearn/datasets/data/digits.csv.gz:
 *
 *   pip download --no-deps --dest /tmp/wheel scikit-learn
 *   unzip -j -d /tmp/wheel /tmp/wheel/scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz
 *   node tools/make-digits.js /tmp/wheel/digits.csv.gz
 *
 * Another version of zlib may compress to other bytes; what they unpack to is the same.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';

const SOURCE_SHA256 = '09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22';
const SIDE = 8;
const CLASSES = 10;
/** Stored values count the dark pixels of a 4×4 block. */
const DARKEST = 16;
/** Of the images sorted by class, every fifth is for testing. */
const TEST_EVERY = 5;

const source = process.argv[2];
if (source === undefined) {
  console.error('usage: node tools/make-digits.js digits.csv.gz');
  process.exit(2);
}
const rows = readRows(source);
const byClass = Array.from({ length: CLASSES }, (_, label) => rows.filter((row) => row.label === label)).flat();
writeSplit(
  'train',
  byClass.filter((_, i) => i % TEST_EVERY !== 0),
);
writeSplit(
  't10k',
  byClass.filter((_, i) => i % TEST_EVERY === 0),
);

/** One image and its label from each line: 64 values 0 … 16, then the class. */
function readRows(path) {
  const packed = readFileSync(path);
  const found = createHash('sha256').update(packed).digest('hex');
  if (found !== SOURCE_SHA256) throw new Error(`${path}: SHA-256 is ${found}, expected ${SOURCE_SHA256}`);
  const lines = gunzipSync(packed).toString('ascii').trim().split('\n');
  return lines.map((line) => {
    const values = line.split(',').map(Number);
    return { pixels: values.slice(0, -1).map((value) => Math.round((value * 255) / DARKEST)), label: values.at(-1) };
  });
}

/** Writes one split as MNIST's pair of files. */
function writeSplit(name, split) {
  const folder = new URL('../data/digits/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const pixels = split.flatMap((row) => row.pixels);
  const labels = split.map((row) => row.label);
  writeFileSync(new URL(`${name}-images-idx3-ubyte.gz`, folder), gzip(idx([split.length, SIDE, SIDE], pixels)));
  writeFileSync(new URL(`${name}-labels-idx1-ubyte.gz`, folder), gzip(idx([split.length], labels)));
  console.log(`${name}: ${split.length} images`);
}

/** The idx format: 0, 0, type (8 = unsigned byte), rank; dimensions as big-endian 32 bits; the elements. */
function idx(shape, elements) {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((dim, i) => header.writeUInt32BE(dim, 4 + 4 * i));
  return Buffer.concat([header, Buffer.from(elements)]);
}

/** Gzip without the name of the system, so that every machine writes the same header. */
function gzip(bytes) {
  const packed = gzipSync(bytes, { level: 9 });
  packed[9] = 255; // "unknown"
  return packed;
}
