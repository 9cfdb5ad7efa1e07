/** Runs the simulations that were asked for, and puts their results into tables. Pure. */
import { gpipe, oneForwardOneBackward } from './orders.js';
import {
  backPropagationSeconds,
  backPropagationWorkers,
  balancedStages,
  localSeconds,
  localWorkers,
} from './pipelines.js';
import { mostBatchesKept, NO_NETWORK, simulate, steadyStepSeconds } from './simulator.js';

/**
 * @typedef {object} Result of one pipeline
 * @property {string} title
 * @property {number} stepSeconds in the steady state
 * @property {{ mean: number, lowest: number }} utilisation of the devices: part of a step in which they work
 * @property {number} busiestSeconds of a step in which the busiest device works: no step is shorter
 * @property {number} speedup over one device that does the same work
 * @property {number} againstPlain over one device that does plain back-propagation
 * @property {number} batchesKept by one module or stage, at most
 * @property {{ highest: number, total: number }} keptBytes on a device, and on all: features, activations, cotangents at their peaks
 */

/**
 * @param {import('./measure.js').Times} times
 * @param {object} setting
 * @param {number} setting.devices
 * @param {readonly number[]} setting.delays
 * @param {readonly number[]} setting.microBatches
 * @param {import('./pipelines.js').Schedule} setting.schedule
 * @param {import('./simulator.js').Network} [setting.network]
 * @param {boolean} [setting.float16]
 * @returns {Result[]}
 */
export function results(
  { modules },
  { devices, delays, microBatches, schedule, network = NO_NETWORK, float16 = false },
) {
  // Enough for the front modules, which may be faster, to have run as far ahead as they can.
  const steps = 40 + 8 * devices;
  const plainSeconds = sum(modules.map(backPropagationSeconds));
  const describe = (title, workers, oneDevice, endings, parts) => {
    const run = simulate(workers, network);
    const stepSeconds = steadyStepSeconds(run);
    const busy = run.devices.map(({ busySeconds }) => busySeconds / workers[0].tasks.at(-1).step);
    return {
      title,
      stepSeconds,
      utilisation: { mean: sum(busy) / devices / stepSeconds, lowest: Math.min(...busy) / stepSeconds },
      busiestSeconds: Math.max(...busy),
      speedup: oneDevice / stepSeconds,
      againstPlain: plainSeconds / stepSeconds,
      batchesKept: mostBatchesKept(run, endings, parts),
      keptBytes: {
        highest: Math.max(...run.devices.map(({ peakBytes }) => peakBytes)),
        total: sum(run.devices.map(({ peakBytes }) => peakBytes)),
      },
    };
  };
  const localStages = balancedStages(modules.map(localSeconds), devices);
  const plainStages = balancedStages(modules.map(backPropagationSeconds), devices);
  const local = delays.map((delay) => {
    const workers = localWorkers(modules, { schedule, delay, steps, stages: localStages, float16 });
    return describe(`local, D = ${delay}`, workers, sum(modules.map(localSeconds)), ['update'], 1);
  });
  const plain = Object.entries({ GPipe: gpipe, '1F1B': oneForwardOneBackward }).flatMap(([name, order]) =>
    microBatches.map((parts) => {
      const few = Math.min(steps, 16);
      const setting = { order, microBatches: parts, steps: few, stages: plainStages, float16 };
      const title = `${name}, ${parts} micro-batch${parts === 1 ? '' : 'es'}`;
      return describe(title, backPropagationWorkers(modules, setting), plainSeconds, ['backward'], parts);
    }),
  );
  return [...local, ...plain];
}

/** @param {readonly Result[]} rows @returns {string} in Markdown */
export function resultTable(rows) {
  return markdown(
    [
      'pipeline',
      'step, s',
      'utilisation: mean',
      'lowest',
      'busiest device, s',
      'speed-up over one device',
      'over back-propagation on one',
      'batches kept',
      'kept, MiB: highest device',
      'all devices',
    ],
    rows.map((row) => [
      row.title,
      row.stepSeconds.toPrecision(3),
      percent(row.utilisation.mean),
      percent(row.utilisation.lowest),
      row.busiestSeconds.toPrecision(3),
      row.speedup.toFixed(2),
      row.againstPlain.toFixed(2),
      row.batchesKept.toFixed(2).replace(/\.?0+$/, ''),
      mebibytes(row.keptBytes.highest),
      mebibytes(row.keptBytes.total),
    ]),
  );
}

/**
 * What passes between neighbouring modules in a step.
 *
 * @param {readonly import('./pipelines.js').Module[]} modules
 * @returns {{ edge: number, featureBytes: number, relayBytes: number }[]} `edge` i: from module i up, and back down to it
 */
export function edges(modules) {
  const bytesOf = (module, name) =>
    sum(module.tasks.flatMap(({ makes }) => makes.filter((value) => value.name === name).map(({ bytes }) => bytes)));
  return modules.slice(0, -1).map((module, edge) => ({
    edge,
    featureBytes: bytesOf(module, `feature/${edge}`),
    relayBytes: bytesOf(modules[edge + 1], `relay/${edge}`),
  }));
}

/** Bytes of the images of a step. */
export function imageBytes(modules) {
  return modules[0].tasks[0].reads.find(({ meaning }) => meaning === 'image').bytes;
}

/** Neighbouring edges that carry the same, together; @param times @param stepSeconds of the pipeline @returns {string} in Markdown */
export function edgeTable({ modules }, stepSeconds) {
  const groups = [];
  for (const { edge, featureBytes, relayBytes } of edges(modules)) {
    const last = groups.at(-1);
    if (last && last.featureBytes === featureBytes && last.relayBytes === relayBytes) last.end = edge;
    else groups.push({ start: edge, end: edge, featureBytes, relayBytes });
  }
  const rows = groups.map(({ start, end, featureBytes, relayBytes }) => {
    const most = Math.max(featureBytes, relayBytes);
    return [
      start === end ? String(start) : `${start} … ${end}`,
      ...[featureBytes, featureBytes / 2, relayBytes, relayBytes / 2].map(mebibytes),
      (most / GIGABIT / stepSeconds).toPrecision(2),
      (most / 2 / GIGABIT / stepSeconds).toPrecision(2),
    ];
  });
  return markdown(
    ['above module', 'features, MiB', 'as float16', 'relay, MiB', 'as float16', 'limit below, Gbit/s', 'as float16'],
    rows,
  );
}

/** In bytes. */
export const GIGABIT = 1e9 / 8;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const percent = (share) => `${(100 * share).toFixed(0)} %`;
const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0);

function markdown(header, rows) {
  const alignment = header.map((_, column) => (column === 0 ? '---' : '--:'));
  return [header, alignment, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
