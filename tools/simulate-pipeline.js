/**
 * Simulates a recipe's modules on devices of their own, with the times that their tasks take on this machine, beside pipelines of plain
 * back-propagation. Run after `npm run build`; what the numbers say is in docs/pipeline.md.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { moduleSchedule } from '../dist/pipeline/schedule.js';
import { measure } from './simulate/measure.js';
import { edges, edgeTable, GIGABIT, imageBytes, results, resultTable } from './simulate/results.js';

const USAGE = `usage: node tools/simulate-pipeline.js [options]
  --recipe FILE        (default graphs/resnet32-cifar10-hpff-k16.json)
  --batch N            images in a step (default 128)
  --threads N          of ONNX Runtime, while it measures (default 1)
  --steps N            measured, after one that is not (default 5)
  --times FILE         take what an earlier run has measured from FILE; if there is none, measure and write it
  --devices N          put the modules on N devices, balanced by time (default: one device for each module)
  --delay D,…          steps by which updates come later (default 0,1,2)
  --micro-batches M,…  of GPipe and 1F1B (default 1,4,16,64)
  --faster X           devices X times as fast as this machine (default 1)
  --bandwidth GBIT     Gbit/s between two devices in each direction (default: no limit)
  --latency MS         between two devices (default 0)
  --float16            features, relays and gradients cross the network in two bytes a number
  --json               print one JSON document`;

async function main() {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  const times = faster(await timesOf(options), options.faster);
  const devices = options.devices ?? times.modules.length;
  if (devices > times.modules.length) {
    throw new Error(`--devices: found ${devices}, allowed: 1 to ${times.modules.length}, the number of modules`);
  }
  const rows = results(times, { ...options, devices, schedule: moduleSchedule });
  if (options.json) {
    const { modules, ...measured } = times;
    const network = {
      ...options.network,
      float16: options.float16,
      edges: edges(modules),
      imageBytes: imageBytes(modules),
    };
    return console.log(
      JSON.stringify({ ...measured, devices, faster: options.faster, network, results: rows }, null, 2),
    );
  }
  const { recipe, batch, threads, lowering, steps, modules } = times;
  console.log(`${recipe}: ${modules.length} modules on ${devices} devices, batch ${batch}`);
  console.log(`task times: ${threads} thread(s), lowering ${lowering}, medians of ${steps} steps\n`);
  console.log(resultTable(rows));
  console.log(
    `\nBetween the modules, in a step; "limit below": the bandwidth at which sending takes as long as ${rows[0].title}:\n`,
  );
  console.log(edgeTable(times, rows[0].stepSeconds));
  console.log(`\nImages: ${(imageBytes(modules) / 2 ** 20).toFixed(1)} MiB for each device whose heads read them.`);
}

/** Measured now, or before. */
async function timesOf({ times, recipe, batch, threads, steps }) {
  if (times !== undefined) {
    const text = await readFile(times, 'utf8').catch((error) => {
      if (error.code === 'ENOENT') return null;
      throw new Error(`--times: ${error.message}`);
    });
    if (text !== null) return known(times, text, { recipe, batch, threads });
  }
  if (loadavg()[0] > 1) console.error(`the machine is busy (load ${loadavg()[0].toFixed(1)}): ratios may be off`);
  const measured = await measure(recipe ?? DEFAULT_RECIPE, {
    batch: batch ?? 128,
    threads: threads ?? 1,
    steps,
    progress: (line) => process.stderr.isTTY && process.stderr.write(`\r${line}\x1b[K`),
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  if (times !== undefined) await writeFile(times, `${JSON.stringify(measured, null, 2)}\n`);
  return measured;
}

const DEFAULT_RECIPE = new URL('../graphs/resnet32-cifar10-hpff-k16.json', import.meta.url).pathname;

/** What a file says was measured, which must be what is asked for now. */
function known(file, text, asked) {
  let found;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new Error(`--times: ${file} is not JSON: ${error.message}`);
  }
  if (!Array.isArray(found?.modules)) throw new Error(`--times: ${file} holds no measured times`);
  for (const key of ['batch', 'threads']) {
    if (asked[key] !== undefined && asked[key] !== found[key]) {
      throw new Error(`--${key}: found ${asked[key]}, allowed: ${found[key]}, with which ${file} was measured`);
    }
  }
  if (asked.recipe !== undefined && !asked.recipe.endsWith(`${found.recipe}.json`)) {
    throw new Error(`--recipe: found ${asked.recipe}, allowed: ${found.recipe}, of which ${file} was measured`);
  }
  return found;
}

/** The same tasks in less time. */
function faster(times, factor) {
  const scaled = (seconds) => seconds / factor;
  return {
    ...times,
    modules: times.modules.map((module) => ({
      ...module,
      tasks: module.tasks.map((task) => ({ ...task, seconds: scaled(task.seconds) })),
      backPropagation: Object.fromEntries(
        Object.entries(module.backPropagation).map(([name, seconds]) => [name, scaled(seconds)]),
      ),
    })),
  };
}

/** @throws Error with one line for the user */
function readOptions() {
  const { values } = parseArgs({
    options: {
      recipe: { type: 'string' },
      batch: { type: 'string' },
      threads: { type: 'string' },
      steps: { type: 'string', default: '5' },
      times: { type: 'string' },
      devices: { type: 'string' },
      delay: { type: 'string', default: '0,1,2' },
      'micro-batches': { type: 'string', default: '1,4,16,64' },
      faster: { type: 'string', default: '1' },
      bandwidth: { type: 'string' },
      latency: { type: 'string', default: '0' },
      float16: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const given = (name) => (values[name] === undefined ? undefined : whole(name, values[name], 1));
  return {
    recipe: values.recipe,
    batch: given('batch'),
    threads: given('threads'),
    steps: given('steps'),
    times: values.times,
    devices: given('devices'),
    delays: values.delay.split(',').map((text) => whole('delay', text, 0)),
    microBatches: values['micro-batches'].split(',').map((text) => whole('micro-batches', text, 1)),
    faster: number('faster', values.faster, true),
    network: {
      bytesPerSecond: values.bandwidth === undefined ? Infinity : number('bandwidth', values.bandwidth, true) * GIGABIT,
      latencySeconds: number('latency', values.latency, false) / 1000,
    },
    float16: values.float16,
    json: values.json,
    help: values.help,
  };
}

function whole(name, text, least) {
  if (!/^\d{1,9}$/.test(text) || Number(text) < least) {
    throw new Error(`--${name}: found '${text}', allowed: a whole number from ${least}`);
  }
  return Number(text);
}

function number(name, text, positive) {
  if (!/^\d+(\.\d+)?$/.test(text) || (positive && Number(text) === 0)) {
    throw new Error(`--${name}: found '${text}', allowed: a number ${positive ? 'above 0' : 'from 0'}`);
  }
  return Number(text);
}

try {
  await main();
} catch (error) {
  console.error(`tools/simulate-pipeline.js: ${error.message}`);
  process.exitCode = 1;
}
