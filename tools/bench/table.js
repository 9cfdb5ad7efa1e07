/** The results of a benchmark as one Markdown table. */

/**
 * @typedef {object} Row
 * @property {string} id
 * @property {string} title
 * @property {boolean} torch
 * @property {number} threads
 * @property {readonly number[]} seconds of each step, round by round
 * @property {number} openSeconds creating everything
 * @property {number} peakBytes highest resident memory, less that before the weights were loaded
 * @property {number} weightBytes parameters, running statistics and optimizer state
 * @property {number} processPeakBytes highest resident memory of the whole process
 */

const HEADER = [
  'threads',
  'subject',
  'step, s: median (min … max)',
  '÷ PyTorch',
  'beyond weights, MiB',
  'whole process, MiB',
  'created in, s',
];

/**
 * @param {readonly Row[]} rows
 * @returns {string}
 */
export function table(rows) {
  const lines = rows.map((row) => {
    const { median, min, max } = spread(row.seconds);
    return [
      row.threads,
      row.title,
      `${median.toFixed(3)} (${min.toFixed(3)} … ${max.toFixed(3)})`,
      relativeToTorch(row, rows)?.toFixed(2) ?? '–',
      mebibytes(row.peakBytes - row.weightBytes),
      mebibytes(row.processPeakBytes),
      row.openSeconds.toFixed(2),
    ];
  });
  const alignment = HEADER.map((_, column) => (column === 1 ? '---' : '--:'));
  return [HEADER, alignment, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/**
 * What `÷ PyTorch` refers to.
 * @param {readonly Row[]} rows
 * @returns {string | undefined} a sentence; undefined if PyTorch was not measured
 */
export function torchReference(rows) {
  const titles = [...new Set(rows.filter(({ torch }) => torch).map(({ title }) => title))];
  if (titles.length === 0) return undefined;
  return titles.length === 1
    ? `÷ PyTorch: relative to ${titles[0]}, the only layout measured.`
    : '÷ PyTorch: relative to whichever layout has the lower median on as many threads.';
}

/**
 * @param {readonly number[]} values one at least
 * @returns {{ min: number, median: number, max: number }}
 */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { min: sorted[0], median, max: sorted.at(-1) };
}

/**
 * The median over the rounds of the step time relative to PyTorch's in the same round, so that the machine's moods cancel.
 * PyTorch's is that of the memory layout with the lower median on as many threads.
 * @param {Row} row
 * @param {readonly Row[]} rows of the same rounds
 * @returns {number | undefined} undefined if PyTorch was not measured
 */
export function relativeToTorch(row, rows) {
  const median = ({ seconds }) => spread(seconds).median;
  const [best] = rows
    .filter(({ torch, threads }) => torch && threads === row.threads)
    .sort((a, b) => median(a) - median(b));
  return best && spread(row.seconds.map((seconds, round) => seconds / best.seconds[round])).median;
}

const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(0);
