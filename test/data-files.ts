/** Data set files for tests, made in memory. */

/** An idx file of unsigned bytes. */
export function idxFile(shape: readonly number[], elements: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((dim, i) => header.writeUInt32BE(dim, 4 + 4 * i));
  return Uint8Array.from(Buffer.concat([header, elements]));
}

/** CIFAR records: the label bytes of each image, then 3072 pixels, all of the image's number. */
export function cifarFile(labels: readonly (readonly number[])[]): Uint8Array {
  const records = labels.map((bytes, i) => Buffer.concat([Uint8Array.from(bytes), Buffer.alloc(3072, i)]));
  return Uint8Array.from(Buffer.concat(records));
}

/** Bytes 0, 1, 2, … 255, 0, … */
export function ramp(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i);
}
