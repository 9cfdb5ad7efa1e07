/** Image folders: `train/<class>/…` and `test/<class>/…` (or `val`), of files in JPEG, PNG or WebP. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { printable } from '../files/printable.js';
import { readFileBytes } from '../files/read.js';
import type { Random } from '../random.js';
import type { EncodedDataset, EncodedImage } from './dataset.js';
import { requireDecoder } from './decode.js';
import { folderNames, listImages, type ListedFile } from './listing.js';

const NAME = 'image-folder';
const LAYOUT = 'it needs train/<class>/*.jpg and val/<class>/*.jpg (or .png, .webp; or test)';
/** Folders of each split, the first that has classes in it counts: a test split is often without labels. */
const FOLDERS = { train: ['train'], test: ['test', 'val', 'valid', 'validation'] } as const;

const MAX_CLASSES = 65536;
/** No photograph is larger. */
const MAX_FILE_BYTES = 2 ** 28;

/** The images of one class. */
interface ImageClass {
  readonly name: string;
  readonly files: readonly ListedFile[];
}

/**
 * Lists one split. The classes are the folders of `train` (where there is one), sorted by UTF-16 code units; every split must have the
 * same. Names that begin with a dot are passed over; files in folders of a class belong to it.
 *
 * The fingerprint covers path, size and class of every image, not its content.
 *
 * @throws InputError `DATASET_MISSING`, `DATASET_EMPTY` (no classes, a class without images), `DATASET_CLASSES` (splits with different
 * classes), `IMAGE_NAME` (a file that is no image), `SHARP_MISSING`, or as `listImages`
 */
export async function openImageFolder(root: string, split: 'train' | 'test'): Promise<EncodedDataset> {
  await requireDecoder(NAME);
  const folder = await findSplit(root, split);
  const names = await classesOf(root, folder);
  const classes: ImageClass[] = [];
  for (const name of names) {
    const files = await listImages(join(folder, name));
    if (files.length === 0) throw new InputError('DATASET_EMPTY', `${printable(join(folder, name))}: holds no images`);
    classes.push({ name, files });
  }
  return new ImageFolder(folder, split, classes);
}

async function findSplit(root: string, split: 'train' | 'test'): Promise<string> {
  for (const name of FOLDERS[split]) {
    const folder = join(root, name);
    if (((await folderNames(folder)) ?? []).length > 0) return folder;
  }
  const at = `${NAME}: ${printable(root)}`;
  if ((await folderNames(root)) === null) throw new InputError('DATASET_MISSING', `${at}: no such folder; ${LAYOUT}`);
  const wanted = FOLDERS[split].join(' or ');
  throw new InputError('DATASET_MISSING', `${at}: no folder ${wanted} with a folder for each class there; ${LAYOUT}`);
}

/** Names of the classes in order. */
async function classesOf(root: string, folder: string): Promise<string[]> {
  const found = ((await folderNames(folder)) ?? []).sort();
  const train = ((await folderNames(join(root, 'train'))) ?? []).sort();
  if (train.length > 0) {
    const missing = train.find((name) => !found.includes(name));
    const unknown = found.find((name) => !train.includes(name));
    const problem = missing === undefined ? unknown && `has a class ${unknown}` : `has no class ${missing}`;
    if (problem !== undefined) {
      const found = `${printable(folder)}: ${printable(problem)}, unlike ${printable(join(root, 'train'))}`;
      throw new InputError('DATASET_CLASSES', `${found}; allowed: the same folders in both`);
    }
  }
  if (found.length <= MAX_CLASSES) return found;
  throw new InputError(
    'DATASET_CLASSES',
    `${printable(folder)}: has ${found.length} folders; allowed: at most ${MAX_CLASSES}, one for each class`,
  );
}

class ImageFolder implements EncodedDataset {
  readonly name = NAME;
  readonly classes: number;
  readonly count: number;
  readonly labels: Uint16Array;
  readonly fingerprint: string;
  /** Index of the first image of each class. */
  private readonly starts: number[];

  constructor(
    private readonly folder: string,
    readonly split: 'train' | 'test',
    private readonly list: readonly ImageClass[],
  ) {
    this.classes = list.length;
    let count = 0;
    this.starts = list.map(({ files }) => (count += files.length) - files.length);
    this.count = count;
    this.labels = new Uint16Array(count);
    const hash = createHash('sha256').update(`${NAME}\n`);
    list.forEach(({ name, files }, label) => {
      const start = this.starts[label] ?? 0;
      this.labels.fill(label, start, start + files.length);
      for (const { path, bytes } of files) hash.update(JSON.stringify([name, path, bytes, label]));
    });
    this.fingerprint = hash.digest('hex');
  }

  order(random: Random): Uint32Array {
    return random.shuffle(Uint32Array.from({ length: this.count }, (_, i) => i));
  }

  async read(index: number): Promise<EncodedImage> {
    const label = this.labels[index] ?? 0;
    const { name, files } = this.list[label] as ImageClass;
    const path = join(this.folder, name, (files[index - (this.starts[label] ?? 0)] as ListedFile).path);
    return { bytes: await readFileBytes(path, MAX_FILE_BYTES), where: printable(path) };
  }
}
