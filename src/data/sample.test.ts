import { expect, test } from 'vitest';
import type { Dataset, EncodedDataset } from './dataset.js';
import { sampleOf } from './sample.js';

const count = 1000;
const about = { name: 'test', split: 'train', classes: 10, count } as const;
const labels = Uint8Array.from({ length: count }, (_, i) => Math.floor(i / 100));
/** Every pixel of an image tells its index. */
const pixels = Uint8Array.from({ length: count * 4 }, (_, i) => Math.floor(i / 4) % 256);
const memory: Dataset = { ...about, image: [1, 2, 2], labels, pixels };

test('images keep their labels, none comes twice, and all classes are there though the file is sorted', () => {
  const sample = sampleOf(memory, 200, 1);
  expect([sample.count, sample.labels.length, sample.pixels.length]).toEqual([200, 200, 800]);
  const counts = new Map<number, number>();
  for (const label of sample.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  for (let label = 0; label < 10; label++) expect(counts.get(label)).toBeGreaterThan(8);
  const rows = Array.from({ length: 200 }, (_, i) => [...sample.pixels.subarray(4 * i, 4 * i + 4)]);
  const known = new Set(Array.from(labels, (label, i) => label * 256 + (i % 256)));
  rows.forEach((row, i) => {
    expect(new Set(row).size).toBe(1);
    expect(known.has(sample.labels[i]! * 256 + row[0]!)).toBe(true);
  });
  expect(sampleOf(memory, 200, 1)).toEqual(sample);
  expect(sampleOf(memory, 200, 2)).not.toEqual(sample);
});

test('images on the disk are read by their place in the whole', async () => {
  const encoded: EncodedDataset = {
    ...about,
    labels: Uint16Array.from({ length: count }, (_, i) => i),
    fingerprint: 'f',
    order: () => new Uint32Array(count),
    read: async (index) => ({ bytes: new Uint8Array(0), where: String(index) }),
  };
  const sample = sampleOf(encoded, 50, 1) as EncodedDataset;
  for (let i = 0; i < 50; i++) expect((await sample.read(i)).where).toBe(String(sample.labels[i]));
  expect(new Set(sample.labels).size).toBe(50);
});

test('the data set stays as it is, though its labels be a Buffer', () => {
  const buffer = Buffer.from(labels);
  const sample = sampleOf({ ...memory, labels: buffer }, 200, 1);
  expect(sample.labels).toEqual(sampleOf(memory, 200, 1).labels);
  expect(Uint8Array.from(buffer)).toEqual(labels);
});

test('a small data set is its own sample', () => {
  expect(sampleOf(memory, count, 1)).toBe(memory);
});
